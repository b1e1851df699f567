"""The power law a − b·n^(−c) that a metric follows as the sample grows, and what more groups would bring by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from engine.arrays import Floats

EXPONENTS = (0.1, 2.0)
"""Between which c is looked for. Learning curves of real tasks have 0.1 to 1 (Viering and Loog 2023); with a smaller
one, five points can't tell a limit from none at all."""
STEPS = 96


class PowerLaws(NamedTuple):
    """Fitted laws, one for each row of values: limits `a`, scales `b` (0 or more), and exponents `c`."""

    limit: Floats
    scale: Floats
    exponent: Floats

    def gain(self, groups: int, more: float) -> Floats:
        """What `more` times as many groups would bring; infinitely many where it is infinite."""
        left = 0.0 if more == float("inf") else more**-self.exponent
        return self.scale * float(groups) ** -self.exponent * (1.0 - left)


def fit_power_laws(groups: Floats, values: Floats) -> PowerLaws:
    """Fit by least squares, with b ≥ 0 and c within `EXPONENTS`.

    For a given c the law is a straight line in n^(−c), so c is looked for on a grid and the rest is solved: no starting
    point, and the same result everywhere.

    Args:
        groups: (points,) how many were trained on.
        values: (rows, points) the metric.
    """
    import numpy as np

    best = np.full(len(values), np.inf)
    found = [np.zeros(len(values)) for _ in PowerLaws._fields]
    means = values.mean(axis=1)
    for exponent in np.linspace(*EXPONENTS, STEPS):
        x = groups ** -float(exponent)
        centered = x - x.mean()
        scale = np.maximum(-(values @ centered) / (centered @ centered), 0.0)
        limit = means + scale * x.mean()
        errors = ((values - limit[:, None] + scale[:, None] * x) ** 2).sum(axis=1)
        better = errors < best
        best = np.where(better, errors, best)
        law = (limit, scale, np.full(len(values), exponent))
        found = [np.where(better, new, old) for new, old in zip(law, found, strict=True)]
    return PowerLaws(*found)
