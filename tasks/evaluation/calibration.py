"""Scores against grades: the mean grade of the held-out examples by how high the evaluated model scored them.

A ranker's scores have no unit, and only their order within a list is used, so this is no test that a model passes or
fails. It shows whether more score means more of what the label counts, and where it does not. It asks for nothing but
a score for each example, whatever ranker gave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.spec.populations import EVERYBODY_ELSE
from tasks.store.files import json_number
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

BINS = 10
INTERVAL_SEED = 0
DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


class CalibrationBin(Record):
    """The examples whose scores are in one range.

    Attributes:
        examples: how many there are.
        score: their mean score.
        grade: their mean grade.
        low: lower end of its 95 % interval over users; None for examples of one user.
        high: upper end of the interval.
    """

    examples: int
    score: float
    grade: float
    low: float | None
    high: float | None


class Calibration(Record):
    """The bins of a population, the lowest scores first. Scores of different models are not comparable."""

    population: str
    bins: tuple[CalibrationBin, ...]


def calibrations(
    populations: npt.NDArray[np.object_], users: list[str], scores: Floats, grades: npt.NDArray[np.uint8]
) -> tuple[Calibration, ...]:
    """Measure each population; all arguments have one entry for each example.

    Args:
        populations: whose model scored the example.
        users: to whom the example belongs; whole users are resampled for the intervals.
        scores: of the evaluated model; examples without a finite one are left out.
        grades: of the label.
    """
    import numpy as np

    from engine.intervals import user_blocks

    blocks, values = user_blocks(users, INTERVAL_SEED), grades.astype(np.float64)
    finite = np.isfinite(scores)
    return tuple(
        Calibration(population=str(name), bins=tuple(_bins(scores, values, blocks, (populations == name) & finite)))
        # Everybody else's model comes last, as in the order of training.
        for name in sorted(set(populations), key=lambda name: (name == EVERYBODY_ELSE, name))
    )


def _bins(
    scores: Floats, grades: Floats, blocks: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]
) -> Iterator[CalibrationBin]:
    import numpy as np

    from engine.intervals import interval

    numbers = np.full(len(scores), -1)
    numbers[chosen] = bin_numbers(scores[chosen])
    for number in sorted(set(numbers[chosen].tolist())):
        rows = numbers == number
        # Rows outside of the bin become undefined instead of being dropped, so that all bins share the blocks.
        span = interval(np.where(rows, grades, np.nan), blocks, INTERVAL_SEED)
        yield CalibrationBin(
            examples=span.groups,
            score=round(float(scores[rows].mean()), DIGITS),
            grade=round(span.value, DIGITS),
            low=json_number(span.low, DIGITS),
            high=json_number(span.high, DIGITS),
        )


def bin_numbers(scores: Floats) -> npt.NDArray[np.int64]:
    """Number the bins of equal size that scores fall into; equal scores fall into one bin, whatever its size."""
    import numpy as np

    if not len(scores):
        return np.empty(0, dtype=np.int64)
    # Edges that are scores themselves: an interpolated edge could fall on either side of a score by its last bit.
    edges = np.unique(np.quantile(scores, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    return np.searchsorted(edges, scores, side="left")
