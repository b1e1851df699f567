"""SQL measures: one scan of a table becomes one row of numbers, and the checks evaluate the row.

The profile of a table and day is a dict of `<subject>__<measure>` (subject: a column, a rule or a family of
columns) and a few table-wide measures. Rates are in [0, 1]; days and instants are ISO text; a measure of zero
rows, or of a column that isn't there or has another type than declared, is None. A rule that is NULL for a row
does not count for it: null rates are measured apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.checks.profile_sql import EXACT_ROWS, MIX_VALUES, OTHERS, SAMPLE_ROWS, ProfilePlan, names
from tasks.errors import CheckFailed, LandingError, first_line
from tasks.store.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.checks.profile_columns import Measures, ProfileColumn
    from tasks.checks.suite_parts import ProfileDeclaration

TRAILING_DAYS = 7
SAMPLE = "sampled_rows"
DIGITS = 12
"""Sums of floats depend on how threads share the rows, in the last digits: a profile keeps those that do not."""


def parquet(paths: Sequence[Path]) -> str:
    """The FROM clause of parquet files that make up one table."""
    # A landed path has `ds=…` in it, of which DuckDB would make a column that the table does not have.
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}], hive_partitioning = false)"


@dataclass(frozen=True)
class Relation:
    """What is scanned: a FROM clause (with WHERE), and days that rules may speak of by name."""

    source: str
    days: Mapping[str, date]
    numbered: str | None = None
    """The same rows of a file with their `file_row_number`, by which a big one is sampled."""

    def columns(self, connection: DuckDBPyConnection) -> dict[str, str]:
        """DuckDB types by column, without reading rows."""
        rows = connection.execute(f"describe select * from {self.source}").fetchall()
        return {name: kind for name, kind, *_ in rows}

    @property
    def sql(self) -> str:
        """The relation with its named days as columns."""
        named = "".join(f", {literal(day)} as {identifier(name)}" for name, day in self.days.items())
        return f"(select *{named} from {self.source})"


def measure_relation(
    connection: DuckDBPyConnection, relation: Relation, measure: ProfileDeclaration, columns: Sequence[ProfileColumn]
) -> Measures:
    """Measure a relation in one scan.

    Args:
        connection: DuckDB.
        relation: the rows to measure.
        measure: what the suite declares about the table.
        columns: profile columns; those that need more than the rows (volume, manifests) are left out.

    Raises:
        CheckFailed: a rule is not SQL.
    """
    types = relation.columns(connection)
    usable = {name: kind for name, kind in types.items() if measure.columns.get(name, kind) == kind}
    # Of a parquet file this reads the footer alone; what is measured how depends on it.
    ((rows,),) = connection.execute(f"select count(*) from {relation.source}").fetchall()
    plan = ProfilePlan(measure, rows, usable, {**usable, **dict.fromkeys(relation.days, "DATE")})
    for column in columns:
        plan.add(column)
    sample = sorted(plan.sampled_subjects) if relation.numbered and rows > EXACT_ROWS else []
    values = _of_all(connection, relation, plan, sample)
    values |= _of_sample(connection, SAMPLE if sample else relation.sql, plan)
    return {
        **{name: values[name] for name in ("rows", "units") if name in values},
        **schema_measures(measure.columns, types),
        **{name: value for column in columns for name, value in plan.read(column, values).items()},
    }


def _of_all(connection: DuckDBPyConnection, relation: Relation, plan: ProfilePlan, sample: Sequence[str]) -> Measures:
    """Measure all rows, and collect every n-th of a big file in the same scan: reading it again would cost as much."""
    if not sample:
        statement = f"select {', '.join(plan.aggregates.values())} from {relation.sql}"
    else:
        pairs = ", ".join(f"{literal(name)}: {identifier(name)}" for name in sample)
        # Only files of more than `EXACT_ROWS` rows are sampled, so the divisor is at least 40, never 0.
        taken = f"list({{{pairs}}}) filter (where file_row_number % {plan.rows // SAMPLE_ROWS} = 0)"
        named = [f"{sql} as {identifier(name)}" for name, sql in {**plan.aggregates, SAMPLE: taken}.items()]
        numbered = Relation(str(relation.numbered), relation.days)
        connection.execute(f"create or replace temp table measured as select {', '.join(named)} from {numbered.sql}")
        connection.execute(
            f"create or replace temp table {SAMPLE} as select unnest({SAMPLE}, recursive := true) from measured"
        )
        statement = f"select * exclude ({SAMPLE}) from measured"
    (row,) = connection.execute(statement).fetchall()
    return dict(zip(plan.aggregates, (_as_json(value) for value in row), strict=True))


def _of_sample(connection: DuckDBPyConnection, source: str, plan: ProfilePlan) -> Measures:
    """Measure what needs sorting or counting by value."""
    if not plan.sampled and not plan.counted:
        return {}
    aggregates = {"sampled_rows": "count(*)", **plan.sampled}
    (row,) = connection.execute(f"select {', '.join(aggregates.values())} from {source}").fetchall()
    values = dict(zip(aggregates, (_as_json(value) for value in row), strict=True))
    for column, expression in plan.counted.items():
        # Values of equal counts in order, so that the cut at MIX_VALUES is the same on every run.
        counts = connection.execute(
            f"select {expression} as v, count(*) as n from {source} where v is not null group by v "
            f"order by n desc, v limit {MIX_VALUES}"
        ).fetchall()
        mix = {str(value): int(count) for value, count in counts}
        rows = values["sampled_rows"]
        if column.measure == "top_share":
            values[column.name] = max(mix.values()) / rows if mix else None
        else:
            ((known,),) = connection.execute(f"select count({expression}) from {source}").fetchall()
            shares = {value: count / known for value, count in mix.items()}
            if known > sum(mix.values()):
                shares[OTHERS] = 1 - sum(mix.values()) / known
            values[column.name] = shares if known else None
    return values


def schema_measures(expected: Mapping[str, str], types: Mapping[str, str]) -> dict[str, str]:
    """Compare the columns a table has with those it must have; each measure is a list of names, or `none`."""
    if not expected:
        return {}
    wrong = [f"{name} is {types[name]}, not {kind}" for name, kind in expected.items() if types.get(name, kind) != kind]
    return {
        "missing_columns": names(name for name in expected if name not in types),
        "unexpected_columns": names(name for name in types if name not in expected),
        "mistyped_columns": names(wrong),
    }


def missing_days(landed: Sequence[date]) -> str:
    """Name the days without a partition between the first and the last landed one, or `none`."""
    known = set(landed)
    span = range((max(known) - min(known)).days)
    return names(str(day) for day in (min(known) + timedelta(days=n) for n in span) if day not in known)


def rows_vs_trailing(rows: int, earlier: Sequence[int]) -> float | None:
    """`rows` over the mean of the up to seven latest non-empty days before it, None without any."""
    # Empty days are left out: they would make every open day look big.
    filled = [count for count in earlier if count > 0][-TRAILING_DAYS:]
    return rows * len(filled) / sum(filled) if filled and rows else None


@dataclass(frozen=True)
class Footer:
    """What the footer of a parquet file says: rows, and DuckDB types by column."""

    rows: int
    types: Mapping[str, str]


def footers(connection: DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, Footer]:
    """Read the footers of parquet files, without their rows.

    Raises:
        LandingError: a file is missing, torn or not parquet; names it.
    """
    import duckdb

    try:
        return _footers(connection, paths)
    except duckdb.Error:
        # DuckDB's error does not always name the file: read them one by one to find it.
        for path in paths:
            try:
                _footers(connection, [path])
            except duckdb.Error as error:
                raise torn(path, error) from None
        raise


def _footers(connection: DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, Footer]:
    if not paths:
        return {}
    files = f"[{', '.join(literal(str(path)) for path in paths)}]"
    counts = connection.execute(f"select file_name, num_rows from parquet_file_metadata({files})").fetchall()
    columns: dict[str, dict[str, str]] = {name: {} for name, _ in counts}
    schema = f"select file_name, name, duckdb_type from parquet_schema({files}) where duckdb_type is not null"
    for file, name, kind in connection.execute(schema).fetchall():
        columns[file][name] = kind
    return {Path(name): Footer(int(rows), columns[name]) for name, rows in counts}


def torn(path: Path, error: Exception) -> LandingError:
    """The error of a parquet file that cannot be read."""
    return LandingError(
        f"{path}: cannot be read as parquet ({first_line(error)}); the file is torn or was changed after "
        "it was written: delete it and run the step that makes it again"
    )


def profile_file(
    connection: DuckDBPyConnection,
    path: Path,
    days: Mapping[str, date],
    measure: ProfileDeclaration,
    columns: Sequence[ProfileColumn],
) -> Measures:
    """Measure one parquet file (see `measure_relation`).

    Raises:
        LandingError: the file is torn; names it.
        CheckFailed: a rule cannot be computed over these rows.
    """
    import duckdb

    try:
        source = f"read_parquet({literal(str(path))}, hive_partitioning = false, file_row_number = true)"
        return measure_relation(connection, Relation(parquet([path]), days, source), measure, columns)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise torn(path, error) from None
    except duckdb.Error as error:
        raise CheckFailed(
            f"{path}: cannot be measured ({first_line(error)}); a check that cannot run is a failure"
        ) from None


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    # DuckDB returns DECIMAL for some columns and aggregates; JSON has no such type.
    if isinstance(value, Decimal):
        value = float(value)
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
