"""Confidence intervals of means over groups, and of differences of such means.

Groups of one user are not independent, so whole users are resampled: every user belongs to one of (at most)
1000 blocks of equal size, and a bootstrap replicate weights each block by an independent Poisson(1) number
(Chamandy et al., 2012, "Estimating uncertainty for massive data streams"). A replicate thus costs one product
of 1000 weights, however many groups there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats
from engine.errors import MetricError

BLOCKS = 1000
REPLICATES = 1000


@dataclass(frozen=True)
class Interval:
    """A mean with its interval. `groups`: those with a value. NaN where there are too few blocks or none."""

    value: float
    low: float
    high: float
    groups: int


def user_blocks(users: npt.ArrayLike, seed: int, blocks: int = BLOCKS) -> npt.NDArray[np.int64]:
    """Assign a block (0 .. blocks-1) to each group, given the user of each group (texts or whole numbers).

    A user is in one block only; users are dealt to blocks of equal size in an order shuffled by `seed`.
    The result depends on which users come first, so give groups in a fixed order.
    """
    codes, count = _codes(np.asarray(users))
    # The second number makes it another stream than that of the weights, which have the same seed.
    dealt = np.random.default_rng([seed, 0xB10C]).permutation(count) % max(1, min(blocks, count))
    return dealt[codes] if count else np.empty(0, dtype=np.int64)


def _codes(users: npt.NDArray[Any]) -> tuple[npt.NDArray[np.integer[Any]], int]:
    """Number the users; whole numbers that are dense already are taken as they are."""
    import pyarrow as pa

    if len(users) and users.dtype.kind in "iu" and users.min() >= 0 and users.max() < 4 * len(users):
        return users, int(users.max()) + 1
    encoded = pa.array(users).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), len(encoded.dictionary)


# Kept, as every figure of an evaluation asks for the same 8 MB.
@lru_cache(maxsize=4)
def _weights(blocks: int, seed: int) -> Floats:
    return np.random.default_rng([seed, blocks]).poisson(1.0, (REPLICATES, blocks)).astype(np.float64)


def interval(values: Floats, blocks: npt.NDArray[np.integer[Any]], seed: int, level: float = 0.95) -> Interval:
    """Mean of the values that are not NaN, with its bootstrap percentile interval.

    `values` and `blocks` (from `user_blocks`) have one entry per group.
    """
    return _interval_of_least([values], blocks, seed, level)


def _interval_of_least(
    columns: Sequence[Floats], blocks: npt.NDArray[np.integer[Any]], seed: int, level: float
) -> Interval:
    """The least of the means of several columns over the groups where all have a value, with its interval."""
    if any(len(values) != len(blocks) for values in columns):
        raise MetricError(f"{len(columns[0])} values but {len(blocks)} blocks: expected one block per group")
    if not 0.0 < level < 1.0:
        raise MetricError(f"level {level} must be between 0 and 1")
    defined = ~np.isnan(columns).any(axis=0)
    groups = int(np.count_nonzero(defined))
    if groups == 0:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    size = int(blocks.max()) + 1
    counts = np.bincount(blocks, defined.astype(np.float64), minlength=size)
    sums = [np.bincount(blocks, np.where(defined, values, 0.0), minlength=size) for values in columns]
    mean = min(float(own.sum() / groups) for own in sums)
    # One block alone gives every replicate the same mean, and an interval without width.
    if np.count_nonzero(counts) < 2:
        return Interval(mean, float("nan"), float("nan"), groups)
    weights = _weights(size, seed)
    # BLAS may add `weights @ sums` in another order elsewhere: whoever writes figures to disk rounds them.
    total = weights @ counts
    # A replicate may have drawn no block with a value.
    drawn = total > 0
    replicates = np.min([(weights @ own)[drawn] / total[drawn] for own in sums], axis=0)
    low, high = np.quantile(replicates, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(mean, float(low), float(high), groups)


def weighted_mean(
    values: Floats, weights: Floats, owners: npt.NDArray[np.integer[Any]] | None = None
) -> tuple[float, float] | None:
    """The weighted mean of the values that are not NaN, and its standard error; None where all are.

    For a sample whose weights are N/n of each stratum, this estimates the population's mean (Hájek 1971); the error is
    that of its linearization, which is sd/√n where weights are equal. Weights are positive.

    Args:
        values: one for each group.
        weights: of the groups.
        owners: number of each group's user, if the groups of one are not independent; else each counts by itself.
    """
    defined = ~np.isnan(values)
    own, weight = values[defined], weights[defined]
    if not len(own):
        return None
    total = float(weight.sum())
    mean = float((weight * own).sum()) / total
    residuals = weight * (own - mean)
    if owners is not None:
        residuals = np.asarray(np.bincount(np.unique(owners[defined], return_inverse=True)[1], residuals))
    if len(residuals) < 2:
        return mean, 0.0
    return mean, float(np.sqrt((residuals**2).sum() * len(residuals) / (len(residuals) - 1))) / total


def replicate_means(columns: Floats, weights: Floats, blocks: npt.NDArray[np.integer[Any]], seed: int) -> Floats:
    """Weighted means of several columns in each bootstrap replicate over users: (replicates, columns).

    Means of one replicate are over the same users, so that their differences are those of pairs.

    Args:
        columns: (columns, groups); groups where any is NaN are left out.
        weights: of the groups.
        blocks: of the groups' users, from `user_blocks`.
        seed: of the replicates.

    Raises:
        MetricError: no group has a value.
    """
    defined = ~np.isnan(columns).any(axis=0)
    if not defined.any():
        raise MetricError("no group has a value, so there is nothing to resample")
    own, size = weights[defined], int(blocks.max()) + 1
    total = np.bincount(blocks[defined], own, minlength=size)
    sums = [np.bincount(blocks[defined], own * column[defined], minlength=size) for column in columns]
    drawn = _weights(size, seed)
    whole = drawn @ total
    return np.asarray((drawn @ np.asarray(sums).T)[whole > 0] / whole[whole > 0, None], dtype=np.float64)


def paired_interval(
    ours: Floats, theirs: Floats, blocks: npt.NDArray[np.integer[Any]], seed: int, level: float = 0.95
) -> Interval:
    """Mean difference `ours - theirs` over the groups where both have a value."""
    if len(ours) != len(theirs):
        raise MetricError(f"{len(ours)} and {len(theirs)} values cannot be paired: expected the same groups")
    return interval(ours - theirs, blocks, seed, level)


def margin_over_best(
    ours: Floats, others: Sequence[Floats], blocks: npt.NDArray[np.integer[Any]], seed: int, level: float = 0.95
) -> Interval:
    """Mean of `ours` minus the highest mean of `others`, over the groups where all have a value.

    The best of the others is chosen again in every replicate, so the interval accounts for the choice: its lower end
    lies no higher than that of `paired_interval` with any of them. With one other, the two are the same.
    """
    if any(len(theirs) != len(ours) for theirs in others):
        raise MetricError(f"{len(ours)} values cannot be paired: expected the same groups of all contenders")
    return _interval_of_least([ours - theirs for theirs in others], blocks, seed, level)
