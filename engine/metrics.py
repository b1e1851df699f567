"""The metrics: a closed registry of names such as `ndcg@10`, each with one definition.

A metric maps `engine.lists.Lists` to one value per group. A group without a relevant item (FPC: without two
different grades) has the value NaN: the metric says nothing about it, so means leave it out and count it.
Importing this module imports no numerical library: pipeline files are validated with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.errors import MetricError, nearest

if TYPE_CHECKING:
    from engine.arrays import Floats
    from engine.lists import Lists

_NAME = re.compile(r"([a-z_]+)(?:@([1-9][0-9]{0,5}))?")
_WHOLE = 2**31 - 1  # the cutoff of a metric without one
Cutoff = Literal["required", "optional", "none"]
Gain = Literal["linear", "exp", "binary"]
"""What a grade is worth: itself, 2^grade − 1, or 1 if it is not 0."""


def ndcg(lists: Lists, k: int, gain: Gain) -> Floats:
    """Normalized discounted cumulative gain (Järvelin & Kekäläinen, 2002).

    DCG@k = Σ over ranks r ≤ k of gain(grade) / log2(r + 1), divided by the DCG of the best order of the
    group's min(n_relevant, k) best items. Gain: `linear` = grade, `exp` = 2^grade − 1, `binary` = grade > 0.
    """
    import numpy as np

    from engine import list_kernels

    gains = np.asarray(gains_of(gain, 255), dtype=np.float64)
    relevant = lists.relevant
    ideals = (relevant.ideal_offsets, relevant.ideal)
    return list_kernels.ndcg(relevant.offsets, relevant.ranks, relevant.grades, ideals, gains, k)


def gains_of(gain: Gain, highest: int) -> tuple[float, ...]:
    """What each grade from 0 to `highest` is worth."""
    if gain == "exp":
        return tuple(2.0**grade - 1.0 for grade in range(highest + 1))
    return tuple(float(grade if gain == "linear" else min(grade, 1)) for grade in range(highest + 1))


def mrr(lists: Lists, k: int) -> Floats:
    """The reciprocal of the rank of the first relevant item, 0 if there is none at rank ≤ k.

    Voorhees (1999), TREC-8 question answering track.
    """
    import numpy as np

    relevant = lists.relevant
    values = np.zeros(len(lists))
    listed = np.diff(relevant.offsets) > 0
    # Ranks ascend within a group, so its first is its best.
    first = relevant.ranks[relevant.offsets[:-1][listed]]
    values[listed] = np.where(first <= k, 1.0 / first, 0.0)
    return _where_relevant(lists, values)


def recall(lists: Lists, k: int) -> Floats:
    """Count the relevant items at rank ≤ k over min(n_relevant, k): 1 is always within reach.

    The form used by Liang et al. (2018), "Variational autoencoders for collaborative filtering".
    """
    import numpy as np

    # At least 1 keeps the division defined; groups without a relevant item become NaN at the end.
    return _where_relevant(lists, _hits(lists, k) / np.maximum(np.minimum(lists.relevant.counts, k), 1))


def precision(lists: Lists, k: int) -> Floats:
    """Count the relevant items at rank ≤ k over k, also for lists shorter than k (as trec_eval's P_k)."""
    return _where_relevant(lists, _hits(lists, k) / k)


def hit_rate(lists: Lists, k: int) -> Floats:
    """1 where any relevant item is at rank ≤ k, else 0."""
    import numpy as np

    return _where_relevant(lists, np.minimum(_hits(lists, k), 1.0))


def average_precision(lists: Lists, k: int) -> Floats:
    """The mean, over min(n_relevant, k), of the precisions at the ranks ≤ k of the relevant items.

    Its mean over groups is MAP@k (trec_eval's map where k is the whole list).
    """
    import numpy as np

    from engine import list_kernels

    relevant = lists.relevant
    sums = list_kernels.precision_sums(relevant.offsets, relevant.ranks, k)
    return _where_relevant(lists, sums / np.maximum(np.minimum(relevant.counts, k), 1))


def fpc(lists: Lists, k: int) -> Floats:
    """The fraction of concordant pairs among the listed pairs of different grades.

    A pair is concordant if the higher grade has the higher score; equal scores count one half. For two
    grades this is the AUC of the group (Koren & Sill, 2011, "OrdRec"). Items outside the list do not count.
    """
    from engine import list_kernels

    del k
    _ = lists.relevant  # raises for NaN scores, which would compare as discordant
    return list_kernels.concordant(lists.scores, lists.grades, lists.offsets, lists.listed)


def _hits(lists: Lists, k: int) -> Floats:
    import numpy as np

    from engine import list_kernels

    relevant = lists.relevant
    return list_kernels.hits(relevant.offsets, relevant.ranks, k).astype(np.float64)


def _where_relevant(lists: Lists, values: Floats) -> Floats:
    import numpy as np

    return np.where(lists.relevant.counts > 0, values, np.nan)


@dataclass(frozen=True)
class _Family:
    compute: Callable[[Lists, int], Floats]
    definition: str
    cutoff: Cutoff
    example: str
    gain: Gain = "binary"


_FAMILIES = {
    "ndcg": _Family(
        lambda x, k: ndcg(x, k, "linear"), "ndcg/linear/log2/ideal=min(n,k)", "optional", "ndcg@10", gain="linear"
    ),
    "ndcg_exp": _Family(
        lambda x, k: ndcg(x, k, "exp"), "ndcg/exp2-1/log2/ideal=min(n,k)", "optional", "ndcg_exp@10", gain="exp"
    ),
    "ndcg_binary": _Family(
        lambda x, k: ndcg(x, k, "binary"), "ndcg/binary/log2/ideal=min(n,k)", "optional", "ndcg_binary@10"
    ),
    "mrr": _Family(mrr, "reciprocal rank/first relevant", "optional", "mrr"),
    "recall": _Family(recall, "recall/min(n,k)", "required", "recall@20"),
    "precision": _Family(precision, "precision/k", "required", "precision@10"),
    "map": _Family(average_precision, "average precision/min(n,k)", "optional", "map@10"),
    "hit_rate": _Family(hit_rate, "hit rate/any", "required", "hit_rate@10"),
    "fpc": _Family(fpc, "concordant pairs/different grades/ties=0.5", "none", "fpc", gain="linear"),
}


@dataclass(frozen=True)
class Metric:
    """A metric with its cutoff; call it with `Lists` to get one value per group (NaN = undefined)."""

    family: str
    k: int | None

    def __call__(self, lists: Lists) -> Floats:
        """Measure each group; NaN where the metric is undefined."""
        return _FAMILIES[self.family].compute(lists, _WHOLE if self.k is None else self.k)

    @property
    def name(self) -> str:
        """The name as written in pipeline files."""
        return self.family if self.k is None else f"{self.family}@{self.k}"

    def gains(self, highest: int) -> tuple[float, ...]:
        """What it makes each grade from 0 to `highest` worth; for pairs of grades (`fpc`), the grade itself."""
        return gains_of(_FAMILIES[self.family].gain, highest)

    @property
    def definition(self) -> str:
        """The formula in short; two figures may be compared only if these are equal."""
        return _FAMILIES[self.family].definition


def names() -> list[str]:
    """List one example name of every metric there is."""
    return [family.example for family in _FAMILIES.values()]


def parse_metric(text: str) -> Metric:
    """Parse the name of a metric: `ndcg@10`, `mrr`, `fpc` …; raises `MetricError` for any other text."""
    match = _NAME.fullmatch(text)
    family = match.group(1) if match else text.partition("@")[0]
    if match is None or family not in _FAMILIES:
        raise MetricError(
            f"{text!r} is no metric: expected one of {', '.join(names())}"
            f"{nearest(family, _FAMILIES) or nearest(text, names())}"
        )
    cutoff = None if match.group(2) is None else int(match.group(2))
    rule = _FAMILIES[family].cutoff
    if rule == "required" and cutoff is None:
        raise MetricError(f"{text!r} needs a cutoff: write {_FAMILIES[family].example!r}, say")
    if rule == "none" and cutoff is not None:
        raise MetricError(f"{text!r} takes no cutoff: write {family!r}")
    return Metric(family, cutoff)
