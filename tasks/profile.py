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
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import CheckFailed, LandingError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.suites import Measure

NONE = "none"
"""Stands for an empty list of names, so that a reader sees that something was looked at."""

TRAILING_DAYS = 7
EXACT_KEYS = 2_000_000
KEY_SAMPLE = 64
"""Duplicates of a bigger table are counted among one 64th of its keys (all rows of a key are in or out):
at 10 M rows the whole check then costs 1.2 scans instead of 2.9."""


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | date) -> str:
    """Quote a text or a day for SQL."""
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'"


def parquet(paths: Sequence[Path]) -> str:
    """Return the FROM clause of parquet files that make up one table."""
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}], hive_partitioning = false)"


@dataclass(frozen=True)
class Relation:
    """What is scanned: a FROM clause (with WHERE), and days that rules may speak of by name."""

    source: str
    days: Mapping[str, date]

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
    connection: DuckDBPyConnection, relation: Relation, measure: Measure, asked: Sequence[str]
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
    plan = _Plan(measure, rows <= EXACT_KEYS, usable, {**usable, **dict.fromkeys(relation.days, "DATE")})
    for name in asked:
        plan.add(name)
    (row,) = connection.execute(plan.statement(relation)).fetchall()
    values = dict(zip(plan.aggregates, (_plain(value) for value in row), strict=True))
    return {
        "rows": values["rows"],
        **schema_measures(measure.columns, found),
        **{name: value for ask in asked for name, value in plan.read(ask, values).items()},
    }


def schema_measures(expected: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """Compare the columns a table has with those it must have; each measure is a list of names, or `none`."""
    if not expected:
        return {}
    wrong = [f"{name} is {found[name]}, not {kind}" for name, kind in expected.items() if found.get(name, kind) != kind]
    return {
        "missing_columns": _names(name for name in expected if name not in found),
        "unexpected_columns": _names(name for name in found if name not in expected),
        "mistyped_columns": _names(wrong),
    }


def missing_days(landed: Sequence[date]) -> str:
    """Return the days without a partition between the first and the last landed one, or `none`."""
    known = set(landed)
    span = range((max(known) - min(known)).days)
    return _names(str(day) for day in (min(known) + timedelta(days=n) for n in span) if day not in known)


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
    reason = str(error).split("\n", maxsplit=1)[0]
    return LandingError(
        f"{path}: cannot be read as parquet ({reason}); the file is torn or was changed after it was written: "
        "delete it and run the step that makes it again"
    )


def profile_file(
    connection: DuckDBPyConnection,
    path: Path,
    days: Mapping[str, date],
    measure: Measure,
    asked: Sequence[str],
) -> dict[str, Any]:
    """Measure one parquet file (see `profile`).

    Raises:
        LandingError: the file is torn; names it.
        CheckFailed: a rule cannot be computed over these rows.
    """
    import duckdb

    try:
        return profile(connection, Relation(parquet([path]), days), measure, asked)
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise torn(path, error) from None
    except duckdb.Error as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise CheckFailed(f"{path}: cannot be measured ({reason}); a check that cannot run is a failure") from None


class _Plan:
    """Aggregates of one statement, each computed once however many measures need it."""

    def __init__(
        self, measure: Measure, exact_keys: bool, found: Mapping[str, str], visible: Mapping[str, str]
    ) -> None:
        self.measure, self.exact_keys, self.found, self.visible = measure, exact_keys, found, visible
        self.aggregates: dict[str, str] = {"rows": "count(*)"}

    def statement(self, relation: Relation) -> str:
        parts = ", ".join(self.aggregates.values())
        return f"select {parts} from {relation.sql}"

    def add(self, name: str) -> None:
        """Take in the aggregates that a profile column needs."""
        subject, _, measure = name.rpartition("__")
        if name == "key__duplicate_rate" and set(self.measure.key) <= set(self.found):
            key = f"hash({', '.join(identifier(column) for column in self.measure.key)})"
            kept = f"filter (where {key} % {KEY_SAMPLE} = 0)"
            if self.exact_keys:
                self.aggregates |= {"key__rows": "count(*)", "key__distinct": f"count(distinct {key})"}
            else:
                self.aggregates |= {
                    "key__rows": f"count(*) {kept}",
                    "key__distinct": f"list_unique(list({key}) {kept})",
                }
        elif name == "key__null_rate" and set(self.measure.key) <= set(self.found):
            broken = " or ".join(f"{identifier(column)} is null" for column in self.measure.key)
            self.aggregates[name] = f"count(*) filter (where {broken})"
        elif subject in self.measure.rules:
            condition = rule(self.measure.rules[subject], self.visible)
            if condition is not None:
                self.aggregates[name] = f"count(*) filter (where {condition})"
        elif subject in self.measure.families:
            for column in self.family(subject):
                self._columns(column, ("min", "max") if measure == "constant" else (measure,))
        elif subject in self.found:
            self._columns(subject, (measure,))

    def family(self, name: str) -> list[str]:
        """Return the columns a family names, by pattern or by type."""
        return [
            column
            for column, kind in self.found.items()
            if any(
                kind == pattern.removeprefix("type:") if pattern.startswith("type:") else fnmatchcase(column, pattern)
                for pattern in self.measure.families[name]
            )
        ]

    def _columns(self, column: str, measures: Sequence[str]) -> None:
        quoted = identifier(column)
        aggregate = {
            "null_rate": f"count(*) - count({quoted})",
            "all_null": f"count(*) - count({quoted})",
            "min": f"min({quoted})",
            "max": f"max({quoted})",
            "mean": f"avg({quoted})",
            "distinct": f"count(distinct {quoted})",
            "approx_distinct": f"approx_count_distinct({quoted})",
            "not_finite_rate": f"count(*) filter (where not isfinite({quoted}))",
        }
        for measure in measures:
            name = "null_rate" if measure == "all_null" else measure
            self.aggregates[f"{column}__{name}"] = aggregate[name]

    def read(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn aggregates into a profile column (for a family also `<name>__of`, the column that decided)."""
        subject, _, measure = name.rpartition("__")
        rows = values["rows"]
        if name == "key__duplicate_rate":
            keys, distinct = values.get("key__rows"), values.get("key__distinct")
            return {name: (keys - distinct) / keys if keys and distinct is not None else None}
        if subject in self.measure.families:
            return self._read_family(name, subject, measure, values)
        if name not in values:
            return {} if name in ("rows", *_FROM_ELSEWHERE) else {name: None}
        if name == "rows" or not measure.endswith("rate"):
            return {name: values[name] if rows or name == "rows" else None}
        return {name: values[name] / rows if rows else None}

    def _read_family(self, name: str, family: str, measure: str, values: Mapping[str, Any]) -> dict[str, Any]:
        columns, rows = self.family(family), values["rows"]
        if not columns or not rows:
            return {name: None}
        if measure == "constant":
            same = [c for c in columns if values[f"{c}__min"] == values[f"{c}__max"]]
            return {name: _names(same)}
        if measure == "all_null":
            return {name: _names(c for c in columns if values[f"{c}__null_rate"] == rows)}
        known = {c: values[f"{c}__{measure}"] for c in columns if values[f"{c}__{measure}"] is not None}
        if not known:
            return {name: None}
        worst = min(known, key=known.__getitem__) if measure == "min" else max(known, key=known.__getitem__)
        return {name: known[worst] / rows if measure.endswith("rate") else known[worst], f"{name}__of": worst}


_FROM_ELSEWHERE = (
    "missing_days",
    "rows_vs_trailing",
    "rows_vs_manifest",
    "unparsed__rate",
    "missing_columns",
    "unexpected_columns",
    "mistyped_columns",
)


def rule(condition: str, columns: Mapping[str, str]) -> str | None:
    """Return a rule as SQL written from its parsed tree, None if it speaks of a column that isn't there.

    Raises:
        CheckFailed: it is not one SQL expression without subqueries.
    """
    import sqlglot
    from sqlglot import expressions as exp

    try:
        trees = sqlglot.parse(condition, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise CheckFailed(f"the rule {condition!r} is not an SQL condition: {reason}") from None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Condition) or tree.find(exp.Query, exp.Command) is not None:
        raise CheckFailed(f"the rule {condition!r} is not one SQL condition over the columns of a row")
    if any(column.name not in columns for column in tree.find_all(exp.Column)):
        return None
    return tree.sql(dialect="duckdb", comments=False)


def _names(names: Any) -> str:
    return ", ".join(names) or NONE


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value
