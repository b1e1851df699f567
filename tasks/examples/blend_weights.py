"""The weights of a blend of retrievals: those with which its lists hold the most of what users did next.

On a refit day everything is taken from the actions known by then: what is blended is fitted to all but the last
`held_out` days, and its lists are compared with these. So the weights are a function of the refit day alone, as item
models are; labels, which are known later, have no part in them.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.examples.learners.blend import BlendWeights
from tasks.examples.learners.protocol import AsOf
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import model_of, node_of
from tasks.examples.shares import evenest_first
from tasks.spec.retrieval import PopularityRetrieval, Retrieval
from tasks.spec.retrievals.blend import BlendRetrieval, FittedWeights
from tasks.spec.spec import Spec
from tasks.store.files import digest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.arrays import Codes, Singles
    from engine.items import Items, Ragged
    from engine.retrieval import Retriever
    from engine.seen import SeenRule

USERS = 1_000
"""Whose lists are looked at, at most: a step of the weights changes recall by more than chance among so many does."""
DIGITS = 6


@dataclass(frozen=True, eq=False)
class _Kept:
    """A retriever whose lists are kept, because every weighting asks for the same ones."""

    model: Retriever
    lists: dict[str, tuple[Codes, Singles]]

    def retrieve(self, users: npt.NDArray[np.str_], k: int) -> Ragged:
        """The kept lists; `k` is the depth of the blend, with which they were made."""
        from engine.items import Ragged

        return Ragged.of([self.lists[user] for user in users.tolist()])

    def score(self, users: npt.NDArray[np.str_], rows: npt.NDArray[Any], items: Codes) -> Singles:
        """Those of the model."""
        return self.model.score(users, rows, items)


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """What lists are compared with: the items of each user in the days held out, that lists may hold."""

    users: npt.NDArray[np.str_]
    truth: tuple[npt.NDArray[np.int64], ...]
    rule: SeenRule | None

    def recall(self, retriever: Retriever, k: int) -> float:
        """Mean share of a user's items, of k at most, among the first k of the list."""
        import numpy as np

        rule = self.rule
        found = retriever.retrieve(self.users, k) if rule is None else rule.retrieve(retriever, self.users, k)
        lists = np.split(found.items, found.offsets[1:-1])
        pairs = zip(self.truth, lists, strict=True)
        shares = [np.isin(truth, own).sum() / min(len(truth), k) for truth, own in pairs]
        return round(math.fsum(shares) / len(shares), DIGITS)


def fit_weights(spec: Spec, blend: BlendRetrieval, fit: FittedWeights, past: Past, as_of: date) -> BlendWeights:
    """Choose the weights of a blend on a refit day.

    Args:
        spec: the pipeline.
        blend: one of its retrievals.
        fit: how.
        past: what is known as of that day.
        as_of: that day.

    Raises:
        TrainingError: what is blended can't be fitted to the days before those held out.
    """
    from engine.blend import Blend
    from engine.items import Items

    by_name = {part.identity: part for part in spec.retrieval}
    parts = [by_name[one.retrieval] for one in blend.of]
    earlier, items = past.before(fit.held_out), Items.all(past.items)
    compared = _held_out(spec, past, earlier, fit.held_out, items)

    def recall(weights: Sequence[float]) -> float:
        # Without those of weight 0, as the blend is served.
        used = [(member, weight) for member, weight in zip(members, weights, strict=True) if weight > 0.0]
        of, shares = zip(*used, strict=True)
        return compared.recall(Blend(of, shares, blend.by, blend.depth), blend.k)

    best = (1.0 / len(parts),) * len(parts)
    recalls: dict[tuple[float, ...], float] = {}
    if len(compared.users):
        members = [_kept(model, compared.users, blend.depth) for model in _retrievers(spec, parts, earlier, items)]
        recalls = {weights: recall(weights) for weights in evenest_first(len(parts))}
        best = max(recalls, key=lambda weights: recalls[weights])  # the first of equal ones: the most even
    alone = {parts[weights.index(1.0)].identity: value for weights, value in recalls.items() if 1.0 in weights}
    return BlendWeights(
        as_of=as_of, held_out=fit.held_out, users=len(compared.users), recall=recalls.get(best), alone=alone,
        weights={part.identity: round(weight, DIGITS) for part, weight in zip(parts, best, strict=True)},
    )  # fmt: skip


def _kept(model: Retriever, users: npt.NDArray[np.str_], depth: int) -> _Kept:
    import numpy as np

    lists = model.retrieve(users, depth)
    items, scores = np.split(lists.items, lists.offsets[1:-1]), np.split(lists.scores, lists.offsets[1:-1])
    return _Kept(model, dict(zip(users.tolist(), zip(items, scores, strict=True), strict=True)))


def _held_out(spec: Spec, past: Past, earlier: Past, days: int, items: Items) -> _HeldOut:
    """The users with a past and with something to find after it, at most so many."""
    import numpy as np

    from engine.seen import RULES

    late = past.age < days
    pairs = np.unique(past.user[late] * len(past.items) + past.item[late])
    user, item = np.divmod(pairs, max(len(past.items), 1))
    known = np.isin(past.users[user], earlier.users)
    user, item = user[known], item[known]
    rule, make = None, RULES.get(spec.candidates.seen)
    if make is not None and len(user):
        rule = make(_history(earlier, items))
        keep = rule.keep(past.users, user, item.astype(np.int32))
        user, item = user[keep], item[keep]
    numbers, starts = np.unique(user, return_index=True)
    # By digest: an arbitrary choice, yet the same in whatever order the users are.
    chosen = sorted(range(len(numbers)), key=lambda n: digest(str(past.users[numbers[n]])))[:USERS]
    truth = np.split(item, starts[1:])
    return _HeldOut(past.users[numbers[chosen]], tuple(truth[n] for n in chosen), rule)


def _history(past: Past, items: Items) -> Any:
    """A past as what users have seen."""
    from engine.ids import Ids
    from engine.items import LocalItems
    from engine.retrieval import History

    actions = past.matrix(None)
    local = LocalItems.of(Ids.of(actions.items, "items"), items)
    counts = actions.counts
    return History(
        Ids.of(actions.users, "users"), local, counts.indptr.astype("i8"), counts.indices.astype("i4"), counts.data
    )


def _retrievers(spec: Spec, parts: Sequence[Retrieval], past: Past, items: Items) -> list[Retriever]:
    """What is blended, fitted to a past."""
    from engine.loader import RETRIEVERS
    from engine.npz import save_arrays

    unit = spec.interactions.unit if spec.interactions.kinds else None
    now = AsOf(past, _counted(past, parts), unit)
    loaded: list[Retriever] = []
    with tempfile.TemporaryDirectory(prefix="matinee-blend-") as folder:
        for part in parts:
            model: Any = model_of(part)
            fitted = None if model.fit is None else model.fit(past, part)
            path = Path(folder, part.files[0])
            save_arrays(path, **model.arrays(part, now, fitted))
            loaded.append(RETRIEVERS[node_of(part)].load(path, items))
    return loaded


def _counted(past: Past, parts: Sequence[Retrieval]) -> Any:
    """The items of a past with the features of the marts that models read: on the days held out there are no marts."""
    import numpy as np
    import pyarrow as pa

    windows = {part.window for part in parts if isinstance(part, PopularityRetrieval)}
    actions = {f"item_actions_{window}d": past.totals(window, past.items) for window in sorted(windows)}
    users = np.unique(past.user * len(past.items) + past.item) % max(len(past.items), 1)
    counts = np.bincount(users, minlength=len(past.items)).astype(np.float32)
    return pa.table({"item_id": pa.array(past.items.tolist(), pa.string()), **actions, "item_users_365d": counts})
