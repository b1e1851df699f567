"""Two samples of examples, compared column by column in SQL: shares by bin, and whole distribution functions.

Each side's files are scanned once, into a table in memory; everything below is computed from that. Rows are weighted
back to the population. Weights are whole numbers, whose sums are exact, so that the same files give the same figures
whatever the order in which threads add them up.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.store.records import Record
from tasks.store.sql import identifier, render

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL = Path(__file__).parent / "sql"
BINS = 10
REFERENCE, CURRENT = 0, 1
UNITS = ("user_id", "item_id", "group_id")
WEIGHT_UNIT = 2**20
"""Weights are kept as whole multiples of one such part. Doubles add them up exactly to 2**53: 10**9 rows and more."""


@dataclass(frozen=True)
class Side:
    """One of the two samples: rows, and how many independent users, items or lists they count for."""

    rows: int
    groups: int
    units: Mapping[str, float]
    """Kish's effective number (1965) of each of `UNITS`: (Σ w)² / Σ w², where w is all the weight of one of them."""


class Bin(Record):
    """Shares of both sides with `low < value <= high`; None where there is no end."""

    low: float | None
    high: float | None
    reference: float
    current: float


@dataclass(frozen=True)
class Shape:
    """A column on both sides. Bins are the reference's deciles: bin `n` ends with `ends[n]`, the last has no end."""

    ends: tuple[float, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    ks: float
    """Largest distance between the two distribution functions, over all values."""
    at: float
    """Where it is; `below` are the shares of both sides up to and with that value."""
    below: tuple[float, float]
    medians: tuple[float, float]

    def bins(self) -> tuple[Bin, ...]:
        """The bins as JSON has them."""
        ends = [None, *(end if math.isfinite(end) else None for end in self.ends), None]
        return tuple(
            Bin(low=low, high=high, reference=_rounded(p), current=_rounded(q))
            for (low, high), p, q in zip(itertools.pairwise(ends), self.reference, self.current, strict=True)
        )

    def psi(self, units: tuple[float, float]) -> float:
        """The population stability index, Σ (q - p) ln(q / p) (Siddiqi 2006).

        Each bin of a side is given half a unit more, so that an empty bin does not make it infinite.
        """
        p, q = _smoothed(self.reference, units[0]), _smoothed(self.current, units[1])
        return sum((new - old) * math.log(new / old) for old, new in zip(p, q, strict=True))


def _smoothed(shares: Sequence[float], units: float) -> list[float]:
    pseudo = 0.5 / units
    return [(share + pseudo) / (1 + pseudo * len(shares)) for share in shares]


def _rounded(share: float) -> float:
    return round(share, 9)


def load_sides(connection: DuckDBPyConnection, sources: Sequence[str], columns: Sequence[str]) -> None:
    """Scan both sides once into the table `compared`.

    Args:
        connection: DuckDB, in memory.
        sources: FROM clauses of reference and current, with the columns, `UNITS`, `cut` and `weight`.
        columns: what is to be compared.
    """
    chosen = ", ".join(identifier(name) for name in (*UNITS, "cut", *columns))
    scans = " union all ".join(
        f"select {side}::tinyint as side, round(weight * {WEIGHT_UNIT})::double as weight, {chosen} from {source}"
        for side, source in enumerate(sources)
    )
    connection.execute(f"create or replace temp table compared as {scans}")


def balance_weekdays(connection: DuckDBPyConnection) -> None:
    """Weigh the reference's days so that each weekday has the share in it that it has on the current side."""
    connection.execute(render(SQL, "balance_weekdays", reference=REFERENCE, current=CURRENT))
    # Days whose weekday the current side lacks must not count as rows or units either.
    connection.execute(f"delete from compared where side = {REFERENCE} and weight = 0")


def sides(connection: DuckDBPyConnection) -> tuple[Side, Side]:
    """What both sides are made of; the table `compared` has rows of both."""
    units: dict[int, dict[str, float]] = {REFERENCE: {}, CURRENT: {}}
    counts: dict[int, tuple[int, int]] = {}
    for unit in UNITS:
        for side, rows, groups, effective in connection.execute(render(SQL, "effective_units", unit=unit)).fetchall():
            units[side][unit] = float(f"{effective:.9g}")  # the last digits depend on the order of the sum
            counts[side] = (int(rows), int(groups))  # in the end, those of lists: the last of UNITS
    return Side(*counts[REFERENCE], units[REFERENCE]), Side(*counts[CURRENT], units[CURRENT])


def positive_rates(connection: DuckDBPyConnection) -> tuple[float, float]:
    """The share of positive examples of both sides of the table `compared`, which has their grades."""
    rows = connection.execute(
        "select coalesce(sum(weight) filter (where grade > 0), 0) / sum(weight) "
        "from compared group by side order by side"
    ).fetchall()
    return float(rows[REFERENCE][0]), float(rows[CURRENT][0])


def shapes(connection: DuckDBPyConnection, columns: Sequence[str]) -> dict[str, Shape]:
    """The distributions of columns of the table `compared`; a NULL or NaN counts as above every number."""
    if not columns:
        return {}
    query = render(SQL, "shapes", columns=columns, reference=REFERENCE, current=CURRENT, bins=BINS)
    rows = connection.execute(query).fetchall()
    by_feature = itertools.groupby(rows, key=lambda row: int(row[0]))
    return {columns[number]: _shape([_Point(*row[1:]) for row in of_one]) for number, of_one in by_feature}


class _Point(NamedTuple):
    """A value at which something of a curve is to be read."""

    value: float
    p: float
    q: float
    farthest: bool
    p_median: bool
    q_median: bool
    decile: bool


def _shape(points: Sequence[_Point]) -> Shape:
    # A constant has a single decile, with p = 1; it is kept so that values above it have a bin of their own.
    deciles = [point for point in points if point.decile]
    # The last decile ends with everything (p = 1), and a NaN is no end: neither separates two bins.
    ends = [point for point in deciles if point.p < 1 and math.isfinite(point.value)] or deciles[:1]
    farthest = next(point for point in points if point.farthest)
    return Shape(
        ends=tuple(point.value for point in ends),
        reference=_between([point.p for point in ends]),
        current=_between([point.q for point in ends]),
        ks=_rounded(abs(farthest.p - farthest.q)),
        at=farthest.value,
        below=(farthest.p, farthest.q),
        medians=(
            next(point.value for point in points if point.p_median),
            next(point.value for point in points if point.q_median),
        ),
    )


def _between(cumulative: Sequence[float]) -> tuple[float, ...]:
    return tuple(max(high - low, 0.0) for low, high in itertools.pairwise([0.0, *cumulative, 1.0]))
