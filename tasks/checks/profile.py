"""SQL measures: one scan of a table becomes one row of numbers, and the checks judge the row.

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

    from tasks.checks.suite_parts import ProfileDeclaration

TRAILING_DAYS = 7
SAMPLE = "sampled_rows"
DIGITS = 12
"""Sums of floats depend on how threads share the rows, in the last digits: a profile keeps those that do not."""


def parquet(paths: Sequence[Path]) -> str:
    """Return the FROM clause of parquet files that make up one table."""
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}], hive_partitioning = false)"


@dataclass(frozen=True)
class Relation:
    """What is scanned: a FROM clause (with WHERE), and days that rules may speak of by name."""

    source: str
    days: Mapping[str, date]
    numbered: str | None = None
    """The same rows of a file with their `file_row_number`, by which a big one is sampled."""

    def columns(self, connection: DuckDBPyConnection) -> dict[str, str]:
        """Return column names and DuckDB types, without reading rows."""
        rows = connection.execute(f"describe select * from {self.source}").fetchall()
        return {name: kind for name, kind, *_ in rows}

    @property
    def sql(self) -> str:
        """Return the relation with its named days as columns."""
        named = "".join(f", {literal(day)} as {identifier(name)}" for name, day in self.days.items())
        return f"(select *{named} from {self.source})"


def profile(
    connection: DuckDBPyConnection, relation: Relation, measure: ProfileDeclaration, asked: Sequence[str]
) -> dict[str, Any]:
    """Measure what is asked of a relation in one scan.

    Args:
        connection: DuckDB.
        relation: the rows to measure.
        measure: what the suite declares about the table.
        asked: profile columns; those that need more than the rows (volume, manifests) are left out.

    Raises:
        CheckFailed: a rule is not SQL.
    """
    found = relation.columns(connection)
    usable = {name: kind for name, kind in found.items() if measure.columns.get(name, kind) == kind}
    ((rows,),) = connection.execute(f"select count(*) from {relation.source}").fetchall()
    plan = ProfilePlan(measure, rows, usable, {**usable, **dict.fromkeys(relation.days, "DATE")})
    for name in asked:
        plan.add(name)
    sample = _sample_columns(plan) if relation.numbered and rows > EXACT_ROWS else []
    values = _of_all(connection, relation, plan, sample)
    values |= _of_sample(connection, SAMPLE if sample else relation.sql, plan)
    return {
        **{name: values[name] for name in ("rows", "units") if name in values},
        **schema_measures(measure.columns, found),
        **{name: value for ask in asked for name, value in plan.read(ask, values).items()},
    }


def _sample_columns(plan: ProfilePlan) -> list[str]:
    return sorted({name.rpartition("__")[0] for name in (*plan.sampled, *plan.counted)})


def _of_all(
    connection: DuckDBPyConnection, relation: Relation, plan: ProfilePlan, sample: Sequence[str]
) -> dict[str, Any]:
    """Measure all rows, and take every n-th of a big file along in the same scan."""
    if not sample:
        statement = f"select {', '.join(plan.aggregates.values())} from {relation.sql}"
    else:
        pairs = ", ".join(f"{literal(name)}: {identifier(name)}" for name in sample)
        taken = f"list({{{pairs}}}) filter (where file_row_number % {plan.rows // SAMPLE_ROWS} = 0)"
        named = [f"{sql} as {identifier(name)}" for name, sql in {**plan.aggregates, SAMPLE: taken}.items()]
        numbered = Relation(str(relation.numbered), relation.days)
        connection.execute(f"create or replace temp table measured as select {', '.join(named)} from {numbered.sql}")
        connection.execute(
            f"create or replace temp table {SAMPLE} as select unnest({SAMPLE}, recursive := true) from measured"
        )
        statement = f"select * exclude ({SAMPLE}) from measured"
    (row,) = connection.execute(statement).fetchall()
    return dict(zip(plan.aggregates, (_plain(value) for value in row), strict=True))


def _of_sample(connection: DuckDBPyConnection, source: str, plan: ProfilePlan) -> dict[str, Any]:
    """Measure what needs sorting or counting by value."""
    if not plan.sampled and not plan.counted:
        return {}
    aggregates = {"sampled_rows": "count(*)", **plan.sampled}
    (row,) = connection.execute(f"select {', '.join(aggregates.values())} from {source}").fetchall()
    values = dict(zip(aggregates, (_plain(value) for value in row), strict=True))
    for name, expression in plan.counted.items():
        counts = connection.execute(
            f"select {expression} as v, count(*) as n from {source} where v is not null group by v "
            f"order by n desc, v limit {MIX_VALUES}"
        ).fetchall()
        mix = {str(value): int(count) for value, count in counts}
        rows = values["sampled_rows"]
        if name.endswith("__top_share"):
            values[name] = max(mix.values()) / rows if mix else None
        else:
            ((known,),) = connection.execute(f"select count({expression}) from {source}").fetchall()
            values[name] = {value: count / known for value, count in mix.items()} if known else None
            if known > sum(mix.values()):
                values[name][OTHERS] = 1 - sum(mix.values()) / known
    return values


def schema_measures(expected: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Compare the columns a table has with those it must have; each measure is a list of names, or `none`."""
    if not expected:
        return {}
    wrong = [f"{name} is {found[name]}, not {kind}" for name, kind in expected.items() if found.get(name, kind) != kind]
    return {
        "missing_columns": names(name for name in expected if name not in found),
        "unexpected_columns": names(name for name in found if name not in expected),
        "mistyped_columns": names(wrong),
    }


def missing_days(landed: Sequence[date]) -> str:
    """Return the days without a partition between the first and the last landed one, or `none`."""
    known = set(landed)
    span = range((max(known) - min(known)).days)
    return names(str(day) for day in (min(known) + timedelta(days=n) for n in span) if day not in known)


def rows_vs_trailing(rows: int, earlier: Sequence[int]) -> float | None:
    """Return `rows` over the mean of the up to seven latest non-empty days before it, None without any."""
    filled = [count for count in earlier if count > 0][-TRAILING_DAYS:]
    return rows * len(filled) / sum(filled) if filled and rows else None


def footers(connection: DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, tuple[int, dict[str, str]]]:
    """Read rows and columns (DuckDB types) of parquet files from their footers alone.

    Raises:
        LandingError: a file is missing, torn or no parquet; names it.
    """
    import duckdb

    try:
        return _footers(connection, paths)
    except duckdb.Error:
        for path in paths:
            try:
                _footers(connection, [path])
            except duckdb.Error as error:
                raise torn(path, error) from None
        raise


def _footers(connection: DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, tuple[int, dict[str, str]]]:
    if not paths:
        return {}
    files = f"[{', '.join(literal(str(path)) for path in paths)}]"
    counts = connection.execute(f"select file_name, num_rows from parquet_file_metadata({files})").fetchall()
    columns: dict[str, dict[str, str]] = {name: {} for name, _ in counts}
    schema = f"select file_name, name, duckdb_type from parquet_schema({files}) where duckdb_type is not null"
    for file, name, kind in connection.execute(schema).fetchall():
        columns[file][name] = kind
    return {Path(name): (int(rows), columns[name]) for name, rows in counts}


def torn(path: Path, error: Exception) -> LandingError:
    """Return the error of a parquet file that cannot be read."""
    return LandingError(
        f"{path}: cannot be read as parquet ({first_line(error)}); the file is torn or was changed after "
        "it was written: delete it and run the step that makes it again"
    )


def profile_file(
    connection: DuckDBPyConnection,
    path: Path,
    days: Mapping[str, date],
    measure: ProfileDeclaration,
    asked: Sequence[str],
) -> dict[str, Any]:
    """Measure one parquet file (see `profile`).

    Raises:
        LandingError: the file is torn; names it.
        CheckFailed: a rule cannot be computed over these rows.
    """
    import duckdb

    try:
        source = f"read_parquet({literal(str(path))}, hive_partitioning = false, file_row_number = true)"
        return profile(connection, Relation(parquet([path]), days, source), measure, asked)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise torn(path, error) from None
    except duckdb.Error as error:
        raise CheckFailed(
            f"{path}: cannot be measured ({first_line(error)}); a check that cannot run is a failure"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        value = float(value)
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
