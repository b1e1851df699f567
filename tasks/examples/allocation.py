"""How a sample's size is shared out over strata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

Rule = Literal["proportional", "sqrt", "equal"]


def allocate(counts: Mapping[tuple[str, ...], int], total: int, rule: Rule, floor: int) -> dict[tuple[str, ...], int]:
    """How many groups to draw from each stratum.

    Each stratum first gets `min(count, floor)`; what is left of `total` is shared by count (`proportional`), by its
    square root (`sqrt`, the power allocation of Bankier 1988 with q = 1/2) or equally, never more than the stratum
    has; what a full stratum can't take goes to the others. Remainders go to the largest fractions, ties to the
    first stratum in order of name, so the result depends on the counts alone.

    Args:
        counts: groups there are, by stratum.
        total: groups to draw in all; all are drawn when there are fewer. Floors may exceed it.
        rule: how to share.
        floor: groups each stratum gets at least, if it has them.
    """
    names = sorted(counts)
    sizes = {name: min(counts[name], floor) for name in names}
    weight = {
        name: {"proportional": float(counts[name]), "sqrt": math.sqrt(counts[name]), "equal": 1.0}[rule]
        for name in names
    }
    left = min(total, sum(counts.values())) - sum(sizes.values())  # negative where the floors exceed the total
    while left > 0:
        open_strata = [name for name in names if sizes[name] < counts[name]]
        left -= _share_out(open_strata, weight, counts, sizes, left)
    return sizes


def _share_out(
    names: list[tuple[str, ...]],
    weight: Mapping[tuple[str, ...], float],
    counts: Mapping[tuple[str, ...], int],
    sizes: dict[tuple[str, ...], int],
    left: int,
) -> int:
    """Give out up to `left` groups in one round; return how many were given."""
    whole = sum(weight[name] for name in names)
    shares = {name: left * weight[name] / whole for name in names}
    given = {name: min(math.floor(shares[name]), counts[name] - sizes[name]) for name in names}
    spare = left - sum(given.values())
    # Where a stratum is full, what it could not take goes to the others before remainders are looked at.
    if not any(given[name] == counts[name] - sizes[name] for name in names):
        by_fraction = sorted(names, key=lambda name: (math.floor(shares[name]) - shares[name], name))
        for name in by_fraction[:spare]:
            given[name] += 1
    for name in names:
        sizes[name] += given[name]
    return sum(given.values())
