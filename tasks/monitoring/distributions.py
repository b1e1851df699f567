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
from typing import TYPE_CHECKING, Any

from tasks.store.sql import identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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

    def bins(self) -> list[dict[str, float | None]]:
        """Return the bins as JSON has them: `low < value <= high`, None where there is no end."""
        ends = [None, *(end if math.isfinite(end) else None for end in self.ends), None]
        return [
            {"low": low, "high": high, "reference": _rounded(p), "current": _rounded(q)}
            for (low, high), p, q in zip(itertools.pairwise(ends), self.reference, self.current, strict=True)
        ]

    def psi(self, units: tuple[float, float]) -> float:
        """Return the population stability index, Σ (q - p) ln(q / p) (Siddiqi 2006).

        Each bin of a side is given half a unit more, so that an empty bin is no infinity.
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
    connection.execute(
        f"""
        update compared set weight = round(weight * factor) from (
            select isodow(cut) as weekday,
                   coalesce(sum(weight) filter (where side = {CURRENT}), 0)
                   / sum(weight) filter (where side = {REFERENCE}) as factor
            from compared group by weekday
        ) days where side = {REFERENCE} and isodow(cut) = days.weekday
        """
    )
    connection.execute(f"delete from compared where side = {REFERENCE} and weight = 0")


def sides(connection: DuckDBPyConnection) -> tuple[Side, Side]:
    """Return what both sides are made of; the table `compared` has rows of both."""
    found: dict[int, dict[str, float]] = {REFERENCE: {}, CURRENT: {}}
    counts: dict[int, tuple[int, int]] = {}
    for unit in UNITS:
        rows = connection.execute(
            f"""
            select side, sum(rows), count(*), sum(weight) * sum(weight) / sum(weight * weight)
            from (
                select side, count(*) as rows, sum(weight) as weight
                from compared group by side, {identifier(unit)}
            ) group by side
            """
        ).fetchall()
        for side, count, distinct, effective in rows:
            found[side][unit] = float(f"{effective:.9g}")  # the last digits depend on the order of the sum
            counts[side] = (int(count), int(distinct))
    return tuple(Side(*counts[side], found[side]) for side in (REFERENCE, CURRENT))  # type: ignore[return-value]


def positive_rates(connection: DuckDBPyConnection) -> tuple[float, float]:
    """Return the share of positive examples of both sides of the table `compared`, which has their grades."""
    rows = connection.execute(
        "select coalesce(sum(weight) filter (where grade > 0), 0) / sum(weight) "
        "from compared group by side order by side"
    ).fetchall()
    return float(rows[REFERENCE][0]), float(rows[CURRENT][0])


def shapes(connection: DuckDBPyConnection, columns: Sequence[str]) -> dict[str, Shape]:
    """Return the distributions of columns of the table `compared`; a NULL or NaN counts as above every number."""
    if not columns:
        return {}
    cells = " union all ".join(
        f"select {number} as feature, coalesce({identifier(name)}::double, 'nan'::double) as value, "
        f"coalesce(sum(weight) filter (where side = {REFERENCE}), 0) as p, "
        f"coalesce(sum(weight) filter (where side = {CURRENT}), 0) as q from compared group by value"
        for number, name in enumerate(columns)
    )
    rows = connection.execute(
        f"""
        with cells as ({cells}),
        curve as (
            select feature, value,
                   sum(p) over upto / sum(p) over whole as p, sum(q) over upto / sum(q) over whole as q
            from cells
            window whole as (partition by feature), upto as (partition by feature order by value)
        ),
        steps as (
            select *, max(abs(p - q)) over whole as widest,
                   lag(p, 1, 0) over upto as p_before, lag(q, 1, 0) over upto as q_before
            from curve
            window whole as (partition by feature), upto as (partition by feature order by value)
        ),
        marked as (
            select feature, value, p, q, abs(p - q) = widest as farthest,
                   p_before < 0.5 and p >= 0.5 as p_median, q_before < 0.5 and q >= 0.5 as q_median,
                   floor({BINS} * p + 1e-9) > floor({BINS} * p_before + 1e-9) as decile
            from steps
        )
        select * from marked where farthest or p_median or q_median or decile
        order by feature, value
        """
    ).fetchall()
    by_feature = itertools.groupby(rows, key=lambda row: int(row[0]))
    return {columns[number]: _shape([row[1:] for row in own]) for number, own in by_feature}


def _shape(rows: Sequence[Any]) -> Shape:
    """Read the rows of a curve that matter: (value, p, q, farthest apart, median of p, of q, end of a decile)."""
    deciles = [row for row in rows if row[6]]
    ends = [row for row in deciles if row[1] < 1 and math.isfinite(row[0])] or deciles[:1]
    farthest = next(row for row in rows if row[3])
    return Shape(
        ends=tuple(row[0] for row in ends),
        reference=_between([row[1] for row in ends]),
        current=_between([row[2] for row in ends]),
        ks=_rounded(abs(farthest[1] - farthest[2])),
        at=farthest[0],
        below=(farthest[1], farthest[2]),
        medians=(next(row[0] for row in rows if row[4]), next(row[0] for row in rows if row[5])),
    )


def _between(cumulative: Sequence[float]) -> tuple[float, ...]:
    return tuple(max(high - low, 0.0) for low, high in itertools.pairwise([0.0, *cumulative, 1.0]))
