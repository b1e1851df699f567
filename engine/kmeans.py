"""k-means (Lloyd 1982) from the start of k-means++ (Arthur & Vassilvitskii 2007): the same bits on every processor."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Floats, kernel


@kernel
def _squared_distance(left: Floats, right: Floats) -> float:
    total = 0.0
    for k in range(len(left)):
        difference = left[k] - right[k]
        total += difference * difference
    return total


@kernel
def nearest(points: Floats, centers: Floats) -> Codes:
    """The number of the center that is nearest to each point (points, dimensions), of equal ones the first."""
    numbers = np.zeros(len(points), dtype=np.int32)
    for n in range(len(points)):
        least = np.inf
        for center in range(len(centers)):
            distance = _squared_distance(points[n], centers[center])
            if distance < least:
                least, numbers[n] = distance, center
    return numbers


@kernel
def _start(points: Floats, draws: Floats) -> npt.NDArray[np.int64]:
    """Which points are the first centers: each drawn by its squared distance to those before; fewer if all are met."""
    chosen = np.zeros(len(draws), dtype=np.int64)
    chosen[0] = int(draws[0] * len(points))
    distances = np.full(len(points), np.inf)
    for count in range(1, len(draws)):
        total = 0.0
        for n in range(len(points)):
            distances[n] = min(distances[n], _squared_distance(points[n], points[chosen[count - 1]]))
            total += distances[n]
        if total == 0.0:
            return chosen[:count]
        left = draws[count] * total
        for n in range(len(points)):
            if distances[n] > 0.0:
                chosen[count] = n  # the last of these, should rounding leave something over
                left -= distances[n]
                if left < 0.0:
                    break
    return chosen


@kernel
def _means(points: Floats, numbers: Codes, centers: Floats) -> Floats:
    """The mean of the points of each center; one without points stays where it is."""
    sums, counts = np.zeros(centers.shape), np.zeros(len(centers))
    for n in range(len(points)):
        counts[numbers[n]] += 1.0
        for k in range(points.shape[1]):
            sums[numbers[n], k] += points[n, k]
    for center in range(len(centers)):
        for k in range(points.shape[1]):
            sums[center, k] = sums[center, k] / counts[center] if counts[center] > 0.0 else centers[center, k]
    return sums


def fit(points: Floats, clusters: int, iterations: int, seed: int) -> Floats:
    """The centers (clusters, dimensions) of points (points, dimensions), at least one.

    Args:
        points: contiguous.
        clusters: how many; there are fewer if there are fewer distinct points.
        iterations: at most; it ends before if no point changes its center.
        seed: of the start.
    """
    draws = np.random.default_rng(seed).random(clusters)  # uniform numbers are the same everywhere
    centers = points[_start(points, draws)]
    numbers = nearest(points, centers)
    for _ in range(iterations):
        centers = _means(points, numbers, centers)
        before, numbers = numbers, nearest(points, centers)
        if (before == numbers).all():
            break
    return centers
