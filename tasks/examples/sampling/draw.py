"""The draw: how many groups of each stratum, and which ones.

The groups of a stratum are in an order that is a function of seed, purpose and group (`tasks.examples.sampling.order`):
the same ones are drawn for any thread count, file order and day of building. Each keeps the weight N/n that undoes the
sampling of its stratum (Horvitz and Thompson 1952).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from tasks.examples.sampling import queries
from tasks.examples.sampling.allocation import Stratum, allocate, bounds, fixed_size, shares
from tasks.examples.sampling.order import PRIME, Purpose
from tasks.examples.sampling.pilot import measure_spread
from tasks.features.warehouse import Tables
from tasks.spec.sample import Sample
from tasks.spec.spec import Spec
from tasks.store.records import Record

if TYPE_CHECKING:
    import pyarrow as pa


class StratumDraw(Record):
    """A stratum: its values, the groups it has that can be drawn, and how many of them were.

    Attributes:
        stratum: value by column.
        groups: those that hold something relevant.
        drawn: of them.
        promised: groups that the floor, or its override, asks for.
        cap: groups that it may have at most.
        overridden: whether an override gives its size.
        spread: the standard deviation that Neyman's allocation measured.
    """

    stratum: dict[str, str]
    groups: int
    drawn: int
    promised: int = 0
    cap: int | None = None
    overridden: bool = False
    spread: float | None = None

    @property
    def rate(self) -> float:
        """Share of its groups that were drawn."""
        return self.drawn / self.groups if self.groups else 0.0

    @property
    def shortfall(self) -> int:
        """Groups that were promised and are not there."""
        return max(0, self.promised - self.drawn)

    @property
    def name(self) -> str:
        """Its values, in the order of `strata`."""
        return " · ".join(self.stratum.values()) or "all"


def strata_counts(tables: Tables, spec: Spec, cuts: Sequence[date]) -> dict[Stratum, int]:
    """Count the groups of some cuts that can be drawn, by stratum."""
    return {
        tuple(str(value) for value in stratum): int(available)
        for *stratum, available in tables.rows(queries.strata(spec, cuts))
        if available
    }


def draw(tables: Tables, spec: Spec, name: str, cuts: Sequence[date]) -> tuple[StratumDraw, ...]:
    """Make the table `name(group_id, cut, weight)` of drawn groups; return population and sample per stratum.

    Groups without a single positive teach a ranking loss nothing, and are not drawn.
    """
    sample = spec.sample
    counts = strata_counts(tables, spec, cuts)
    spread = _pilot_spread(tables, spec, counts, cuts)
    limits = bounds(sample, counts, shares(counts, sample.allocation, spread))
    sizes = allocate(limits, sample.groups)
    draw_sizes(tables, spec, name, cuts, (counts, sizes))
    return tuple(_described(sample, stratum, count, sizes[stratum], spread) for stratum, count in counts.items())


def _described(
    sample: Sample, stratum: Stratum, count: int, drawn: int, spread: Mapping[Stratum, float]
) -> StratumDraw:
    fixed = fixed_size(sample, stratum, count)
    return StratumDraw(
        stratum=dict(zip(sample.strata, stratum, strict=True)),
        groups=count,
        drawn=drawn,
        promised=sample.floor if fixed is None else fixed,
        cap=sample.cap if fixed is None else None,
        overridden=fixed is not None,
        spread=spread.get(stratum),
    )


def _pilot_spread(
    tables: Tables, spec: Spec, counts: Mapping[Stratum, int], cuts: Sequence[date]
) -> dict[Stratum, float]:
    if spec.sample.allocation != "neyman" or spec.sample.pilot is None or not counts:
        return {}
    sizes = {stratum: min(count, spec.sample.pilot) for stratum, count in counts.items()}
    draw_sizes(tables, spec, "pilot", cuts, (counts, sizes))
    return measure_spread(tables, spec, counts)


def draw_sizes(
    tables: Tables,
    spec: Spec,
    name: str,
    cuts: Sequence[date],
    strata: tuple[Mapping[Stratum, int], Mapping[Stratum, int]],
) -> None:
    """Make the table of drawn groups, given how many there are and how many to draw of each stratum.

    A stratum's first groups are among those whose place is below a bound, if so many are; only these are put in order.
    Where a bound lets too few pass, all are put in order, for the same groups.
    """
    counts, sizes = strata
    purpose: Purpose = "pilot" if name == "pilot" else "sample"
    for bounded in (True, False):
        tables.add(f"{name}_sizes", _sizes_table(spec.sample.strata, counts, sizes, bounded=bounded))
        tables.create(name, queries.draw(spec, f"{name}_sizes", cuts, purpose))
        ((drawn,),) = tables.rows(f"select count(*) from {name}")
        if drawn == sum(sizes.values()):
            return


def place_bound(available: int, size: int) -> int:
    """A bound that at least `size` of `available` places are below, but for one draw in a million.

    So says Chernoff of independent places, as those of groups with random hashes are. Hashes that somebody has chosen
    would only make draws slower.
    """
    share = (size + 6 * math.sqrt(size) + 24) / available if available else 1.0
    return PRIME if share >= 1.0 else int(share * PRIME)


def _sizes_table(
    names: Sequence[str], counts: Mapping[Stratum, int], sizes: Mapping[Stratum, int], *, bounded: bool
) -> pa.Table:
    """Strata as rows: their values, groups there are (`available`), groups to draw (`size`), and where to look."""
    import pyarrow as pa

    columns = {name: pa.array([stratum[n] for stratum in counts], pa.string()) for n, name in enumerate(names)}
    columns["available"] = pa.array(list(counts.values()), pa.int64())
    columns["size"] = pa.array([sizes[stratum] for stratum in counts], pa.int64())
    below = [place_bound(count, sizes[stratum]) if bounded else PRIME for stratum, count in counts.items()]
    columns["bound"] = pa.array(below, pa.int64())
    return pa.table(columns)
