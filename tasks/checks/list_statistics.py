"""How a model ranks the test examples: measures of its lists, whatever the labels say.

Lists are ranked as everywhere: by score, equal scores in the order of item ids. `k` is the cut-off of the pipeline's
first gate. All measures are functions of the run's examples and models, but for those that begin with `champion`: they
also need the version that was champion as of the run's day, executed by the engine on the same examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

Statistics = dict[str, float | None]
"""Measures of lists by profile column."""

PERSISTENCE = 0.9
"""How far down a list rank-biased overlap looks (Webber, Moffat and Zobel 2010): half of the weight is on the top 6."""


@dataclass(frozen=True, eq=False)
class Pages:
    """Examples as lists: the rows of a list stand together."""

    offsets: npt.NDArray[np.int64]
    """List `g` owns the rows `offsets[g]:offsets[g + 1]`."""
    items: npt.NDArray[np.int64]
    """Item of each row, as a number in the order of item ids."""
    users: npt.NDArray[np.int64]
    """User of each list, as a number."""

    @classmethod
    def of(cls, table: pa.Table) -> Pages:
        """Find the lists of examples."""
        import numpy as np

        from tasks.examples.arrays import group_offsets

        offsets = group_offsets(table)
        users = np.unique(np.asarray(table["user_id"].to_pylist(), dtype=str), return_inverse=True)[1]
        items = np.unique(np.asarray(table["item_id"].to_pylist(), dtype=str), return_inverse=True)[1]
        return cls(offsets, items.astype(np.int64), users.astype(np.int64)[offsets[:-1]])

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Rows of each list."""
        import numpy as np

        return np.diff(self.offsets)

    def only(self, mask: Mask) -> tuple[Pages, Mask]:
        """Some of the lists, and which rows are theirs."""
        import numpy as np

        rows = np.repeat(mask, self.sizes)
        offsets = np.concatenate([[0], np.cumsum(self.sizes[mask])])
        return Pages(offsets, self.items[rows], self.users[mask]), rows

    def ranks(self, scores: Floats) -> npt.NDArray[np.int64]:
        """Each row's place in its list, from 0."""
        import numpy as np

        lists = np.repeat(np.arange(len(self.sizes)), self.sizes)
        order = np.lexsort((self.items, -scores, lists))  # the last key sorts first
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = np.arange(len(order)) - np.repeat(self.offsets[:-1], self.sizes)
        return ranks

    def sums(self, values: npt.NDArray[Any]) -> Floats:
        """The sum of the rows' values over each list."""
        import numpy as np

        # Not `np.add.reduceat`, which gives an empty slice the value at its start.
        total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        return np.asarray(total[self.offsets[1:]] - total[self.offsets[:-1]])


def list_statistics(pages: Pages, scores: Floats, k: int, final: Floats | None = None) -> Statistics:
    """What can be said of scores alone, by profile column.

    Args:
        pages: the lists.
        scores: of the model.
        k: places of each list that count as its top.
        final: scores in the order of the final lists, where that is another one.
    """
    import numpy as np

    finite = np.isfinite(scores)
    ranked = np.where(finite, scores, -np.inf)  # NaN differs from itself: each would count as a score of its own
    ranks = pages.ranks(ranked if final is None else final)
    top = ranks < k
    several = pages.sizes > 1
    distinct = pages.sums(_new_value(pages, ranked))
    share = distinct[several] / pages.sizes[several]
    return {
        "rows": len(scores),
        "lists": len(pages.sizes),
        "scored_share": _mean(finite),
        "score_spread": float(f"{np.std(scores[finite]):.12g}") if finite.any() else None,
        "constant_list_share": _mean(distinct[several] == 1),
        "distinct_score_share": None if not len(share) else float(np.median(share)),
        "catalog_coverage_share": len(np.unique(pages.items[top])) / max(len(np.unique(pages.items)), 1),
        "same_list_share": _same_list(pages, ranks, k),
    }


def _new_value(pages: Pages, scores: Floats) -> Mask:
    """Whether each row, with lists sorted by score, has another score than the one before it."""
    import numpy as np

    lists = np.repeat(np.arange(len(pages.sizes)), pages.sizes)
    ordered = scores[np.lexsort((scores, lists))]
    new = np.ones(len(ordered), dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    new[pages.offsets[:-1]] = True
    return new


def _same_list(pages: Pages, ranks: npt.NDArray[np.int64], k: int) -> float | None:
    """The share of users who got the commonest top k, in its order; None for one user."""
    import numpy as np

    users = len(np.unique(pages.users))
    if users < 2:
        return None
    tops = np.full((len(pages.sizes), k), -1, dtype=np.int64)  # -1 fills lists shorter than k; no item has it
    lists = np.repeat(np.arange(len(pages.sizes)), pages.sizes)
    top = ranks < k
    tops[lists[top], ranks[top]] = pages.items[top]
    which = np.unique(tops, axis=0, return_inverse=True)[1].reshape(-1)
    # A user who got the same list twice counts once.
    pairs = np.unique(np.stack([which, pages.users]), axis=1)
    return float(np.bincount(pairs[0]).max() / users)


def agreement(pages: Pages, ours: Floats, theirs: Floats, k: int) -> Statistics:
    """How alike two orders of the same lists are, each the mean over lists of at least two rows.

    `correlation` is Spearman's: 1 the same order, 0 unrelated, -1 upside down. `overlap_share` is the share of the top
    k that both have, of lists that are longer than k. `rbo` is rank-biased overlap, which cares for the top most;
    of lists that hold the same rows it is 1 for the same order.
    """
    import numpy as np

    mine, others = pages.ranks(ours), pages.ranks(theirs)
    sizes = pages.sizes.astype(np.float64)
    several, longer = pages.sizes > 1, pages.sizes > k
    # 1.0 only avoids a division by 0 for lists of one row, which are left out below.
    cubes = np.where(several, sizes * (sizes**2 - 1), 1.0)
    # Spearman's short formula is exact here, because places have no ties.
    correlation = 1 - 6 * pages.sums((mine - others).astype(np.float64) ** 2) / cubes
    overlap = pages.sums((mine < k) & (others < k)) / k
    return {
        "correlation": _mean(correlation[several]),
        "overlap_share": _mean(overlap[longer]),
        "rbo": _mean(_rank_biased(pages, np.maximum(mine, others))[several]),
    }


def _rank_biased(pages: Pages, deeper: npt.NDArray[np.int64]) -> Floats:
    """Rank-biased overlap of lists with the same rows, cut off at their length and scaled to at most 1.

    A row is in both lists down to depth d if the deeper of its two places is below d: it adds the weight
    p^(d-1) / d of every such depth.
    """
    import numpy as np

    longest = int(pages.sizes.max(initial=1))
    depths = np.arange(1, longest + 1)
    weights = np.concatenate([[0.0], np.cumsum(PERSISTENCE ** (depths - 1.0) / depths)])
    sizes = np.repeat(pages.sizes, pages.sizes)
    whole = np.concatenate([[0.0], np.cumsum(PERSISTENCE ** (depths - 1.0))])[pages.sizes]
    return pages.sums(weights[sizes] - weights[deeper]) / np.where(whole > 0, whole, 1.0)


def _mean(values: npt.NDArray[Any]) -> float | None:
    """A mean, to the digits that do not depend on the order of adding."""
    return float(f"{values.mean():.12g}") if len(values) else None


def parts(pages: Pages, populations: npt.NDArray[np.object_]) -> Iterator[tuple[str, Mask]]:
    """Yield (population, which lists), all of them first; `populations` has one name a row."""
    import numpy as np

    of_list = populations[pages.offsets[:-1]]
    yield "everybody", np.ones(len(of_list), dtype=bool)
    names = sorted(set(of_list))
    # A single population would repeat everybody.
    if len(names) > 1:
        for name in names:
            yield str(name), of_list == name
