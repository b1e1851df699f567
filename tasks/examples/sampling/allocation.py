"""How a sample's size is shared out over strata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.spec.sample import Allocation, Sample

Stratum = tuple[str, ...]
"""The values of a sample's `strata`, in their order."""


@dataclass(frozen=True)
class Bounds:
    """Groups that a stratum gets at least and at most, and its part of what is left.

    Attributes:
        least: never more than the stratum has.
        most: never more than the stratum has, nor less than `least`.
        share: relative to that of the others; 0 for a stratum that gets `least` and no more.
    """

    least: int
    most: int
    share: float


def shares(counts: Mapping[Stratum, int], rule: Allocation, spread: Mapping[Stratum, float]) -> dict[Stratum, float]:
    """What a stratum's part of the sample is proportional to.

    Args:
        counts: groups there are, by stratum.
        rule: by count (`proportional`), by its square root (`sqrt`, the power allocation of Bankier 1988 with q = 1/2),
            alike (`equal`), or by count times standard deviation (`neyman`, Neyman 1934), which gives the estimated
            mean of what was measured the least variance.
        spread: the standard deviations; the other rules read none.
    """
    if rule == "neyman":
        # All deviations alike, 0 too, is what makes a proportional sample the best one.
        flat = not any(spread[stratum] for stratum in counts)
        return {stratum: count * (1.0 if flat else spread[stratum]) for stratum, count in counts.items()}
    return {
        stratum: {"proportional": float(count), "sqrt": math.sqrt(count), "equal": 1.0}[rule]
        for stratum, count in counts.items()
    }


def bounds(spec: Sample, names: Mapping[Stratum, int], share: Mapping[Stratum, float]) -> dict[Stratum, Bounds]:
    """Bound each stratum by floor and cap, or by the override that gives it a size of its own."""
    limits = {}
    for stratum, count in names.items():
        size = fixed_size(spec, stratum, count)
        if size is None:
            most = count if spec.cap is None else min(count, spec.cap)
            limits[stratum] = Bounds(min(count, spec.floor), most, share[stratum])
        else:
            limits[stratum] = Bounds(min(count, size), min(count, size), 0.0)
    return limits


def fixed_size(spec: Sample, stratum: Stratum, count: int) -> int | None:
    """Groups that an override asks for, which may be more than there are; None for a stratum without one."""
    values = dict(zip(spec.strata, stratum, strict=True))
    for override in spec.overrides:
        if override.stratum.items() <= values.items():
            return (
                override.groups if override.rate is None else math.ceil(round(override.rate * count, 9))
            )  # 0.1 * 30 is above 3
    return None


def allocate(limits: Mapping[Stratum, Bounds], total: int) -> dict[Stratum, int]:
    """How many groups to draw from each stratum.

    Each stratum first gets its `least`; what is left of `total` is shared out by `share`, never beyond `most`; what a
    full stratum can't take goes to the others. Remainders go to the largest fractions, ties to the first stratum in
    order of name, so the result depends on the bounds alone.

    Args:
        limits: by stratum.
        total: groups to draw in all. What is promised to strata may exceed it, and what they may have fall short of it.
    """
    names = sorted(limits)
    sizes = {name: limits[name].least for name in names}
    left = total - sum(sizes.values())  # negative where what is promised exceeds the total
    while left > 0:
        open_strata = [name for name in names if sizes[name] < limits[name].most and limits[name].share > 0]
        if not open_strata:
            break
        left -= _share_out(open_strata, limits, sizes, left)
    return sizes


def _share_out(names: list[Stratum], limits: Mapping[Stratum, Bounds], sizes: dict[Stratum, int], left: int) -> int:
    """Give out up to `left` groups in one round; return how many were given."""
    whole = sum(limits[name].share for name in names)
    wanted = {name: left * limits[name].share / whole for name in names}
    room = {name: limits[name].most - sizes[name] for name in names}
    given = {name: min(math.floor(wanted[name]), room[name]) for name in names}
    spare = left - sum(given.values())
    # Where a stratum is full, what it could not take goes to the others before remainders are looked at.
    if not any(given[name] == room[name] for name in names):
        by_fraction = sorted(names, key=lambda name: (math.floor(wanted[name]) - wanted[name], name))
        for name in by_fraction[:spare]:
            given[name] += 1
    for name in names:
        sizes[name] += given[name]
    return sum(given.values())
