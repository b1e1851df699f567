"""What is acted on most, by everybody or by the users who are alike in an attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.examples.arrays import texts
from tasks.examples.learners.protocol import Arrays, AsOf, RetrievalModel
from tasks.spec.retrieval import PopularityRetrieval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def _arrays(part: PopularityRetrieval, now: AsOf, fitted: None) -> Arrays:
    if part.by is not None:
        return _by_segment(part, now, part.by)
    if now.unit is None:
        return {"item_ids": now.item_ids, "scores": now.items[f"item_actions_{part.window}d"].to_numpy()}
    # The mart counts actions, for features; what they weigh is only known of the past that retrieval learns from.
    return {"item_ids": now.item_ids, "scores": now.past.totals(part.window, now.item_ids)}


def _by_segment(part: PopularityRetrieval, now: AsOf, attribute: str) -> Arrays:
    import numpy as np

    known = now.segments[attribute]
    users = texts(known["user_id"])
    segments, segment = np.unique(texts(known["segment"]), return_inverse=True)
    rows = np.zeros(len(now.past.users), dtype=np.int64)
    _, in_past, in_users = np.intersect1d(now.past.users, users, assume_unique=True, return_indices=True)
    rows[in_past] = segment[in_users] + 1
    totals = [now.past.totals(part.window, now.item_ids, rows == row) for row in range(1, len(segments) + 1)]
    everybody = now.past.totals(part.window, now.item_ids)
    return {
        "user_ids": users,
        "item_ids": now.item_ids,
        "segment": (segment + 1).astype(np.int32),
        "scores": np.stack([everybody, *(then_by(own, everybody, now.unit) for own in totals)]),
    }


def then_by(
    own: npt.NDArray[np.float32], everybody: npt.NDArray[np.float32], unit: float | None
) -> npt.NDArray[np.float32]:
    """Add less than two sums differ by, so that what a segment knows little of is ordered as for everybody."""
    import numpy as np

    largest = np.float64(everybody.max(initial=0.0)) + 1.0
    return (own + everybody / largest * (1.0 if unit is None else unit)).astype(np.float32)


POPULARITY = RetrievalModel(
    PopularityRetrieval,
    "Popularity",
    _arrays,
    variant=lambda part: None if part.by is None else "SegmentPopularity",
    variants=("SegmentPopularity",),
)
