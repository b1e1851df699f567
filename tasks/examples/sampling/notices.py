"""What makes a sample less than it was asked to be, for the log, the summary and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.examples.sampling.draw import StratumDraw
from tasks.spec.sample import Override, Sample

NAMED = 5
"""Strata that a notice names; it counts the others."""


def draw_notices(spec: Sample, strata: Sequence[StratumDraw], new: Mapping[str, int]) -> list[str]:
    """Say which strata are empty, have less than was promised, or are new, and what caps left out.

    Args:
        spec: what was asked for.
        strata: what was drawn.
        new: groups of the test window in strata of which there was nothing to draw, by the name of the stratum.
    """
    # Where all groups there are were drawn, no other sample would have more.
    partial = any(one.drawn < one.groups for one in strata)
    short = [f"{one.name} ({one.drawn:,} of {one.promised:,})" for one in strata if one.shortfall and partial]
    none = [f"{one.name} (0 of {one.groups:,})" for one in strata if not one.drawn and not one.overridden]
    empty = [_named(override) for override in spec.overrides if not any(_matches(override, one) for one in strata)]
    unseen = [f"{name} ({groups:,})" for name, groups in new.items()]
    drawn, groups = sum(one.drawn for one in strata), sum(one.groups for one in strata)
    capped = f"the caps leave {drawn:,} of the {spec.groups:,} groups asked for, and there are {groups:,}"
    notices = (
        (short, f"strata with fewer groups than their floor or override asks for, taken whole: {_list(short)}"),
        (none, f"strata of which nothing was drawn, so that nothing is learned of them: {_list(none)}"),
        (empty, f"no group that can be drawn is in a stratum of `sample.overrides`: {_list(empty)}"),
        (unseen, f"new strata, of which the windows to train on have no group, but the test window: {_list(unseen)}"),
        (spec.cap is not None and drawn < min(spec.groups, groups), capped),
    )
    return [text for holds, text in notices if holds]


def _matches(override: Override, one: StratumDraw) -> bool:
    return override.stratum.items() <= one.stratum.items()


def _named(override: Override) -> str:
    return " and ".join(f"{name} {value!r}" for name, value in override.stratum.items())


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
