"""What is measured of rows: the aggregates behind a profile's columns, most in one scan of all rows.

Quantiles, mixes, the commonest value and the look of texts are taken from every row of a table of up to `EXACT_ROWS`
rows, and of every n-th row of a bigger one: about 50,000 rows tell shares to a fifth of a percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tasks.errors import CheckFailed, first_line
from tasks.store.sql import identifier

if TYPE_CHECKING:
    from tasks.checks.suite_parts import ProfileDeclaration

NONE = "none"
"""Stands for an empty list of names, so that a reader sees that something was looked at."""

EXACT_ROWS = 2_000_000
SAMPLE_ROWS = 50_000
KEY_ROWS = 40_000
"""Duplicates of a bigger table are counted among the keys of about so many rows, those with the smallest hashes (all
rows of a key are in or out): counting them all costs more than all the rest of a profile at 10 M rows."""
SKETCH_ROWS = 5_000
"""Rows of a day whose keys (or values of a column) are kept to find them again on another day: the smallest hashes."""
MIX_VALUES = 200
OTHERS = "(others)"
SAMPLED = ("median", "p05", "p95", "unreadable_rate")
COUNTED = ("top_share", "mix")
UNREADABLE = r"[\x{FFFD}\x{0080}-\x{009F}\x00-\x08\x0B\x0C\x0E-\x1F]|Ã[^\x00-\x7F]|â€|Â[\x{00A0}-\x{00BF}]"
"""A replacement or control character, or UTF-8 that was read as Latin-1 (`Ã©` for `é`)."""
FLOATS = ("FLOAT", "DOUBLE")
LANDED_COLUMN = "line_number"
"""Added by the landing, so no part of what a source said."""


class ProfilePlan:
    """Aggregates of one statement, each computed once however many measures need it."""

    def __init__(
        self, measure: ProfileDeclaration, rows: int, found: Mapping[str, str], visible: Mapping[str, str]
    ) -> None:
        self.measure, self.rows, self.found, self.visible = measure, rows, found, visible
        self.aggregates: dict[str, str] = {"rows": "count(*)"}
        if measure.unit in found:
            self.aggregates["units"] = f"approx_count_distinct({identifier(str(measure.unit))})"
        self.sampled: dict[str, str] = {}
        self.counted: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Take in the aggregates that a profile column needs."""
        subject, _, measure = name.rpartition("__")
        if subject == "key":
            self._key(name, measure)
        elif subject in self.measure.rules:
            condition = rule(self.measure.rules[subject], self.visible)
            if condition is not None:
                self.aggregates[name] = f"coalesce(count_if({condition}), 0)"  # a filter costs three times as much
        elif subject in self.measure.families:
            for column in family(self.measure, subject, self.found):
                self._columns(column, ("min", "max") if measure == "constant" else (measure,))
        elif subject in self.found:
            self._columns(subject, (measure,))

    def _key(self, name: str, measure: str) -> None:
        columns = key_columns(self.measure, self.found)
        if not columns or not set(columns) <= set(self.found):
            return
        key = f"hash({', '.join(identifier(column) for column in columns)})"
        if measure == "null_rate":
            broken = " or ".join(f"{identifier(column)} is null" for column in columns)
            self.aggregates[name] = f"coalesce(count_if({broken}), 0)"
        elif self.rows > EXACT_ROWS:
            self.aggregates["key__hashes"] = f"list({key}) filter (where {key} <= {hash_limit(self.rows, KEY_ROWS)})"
        elif measure == "sketch":
            self.aggregates[name] = self._sketch(key)
        else:
            self.aggregates |= {"key__rows": "count(*)", "key__distinct": f"count(distinct {key})"}

    def _sketch(self, key: str) -> str:
        return f"list({key}) filter (where {key} <= {hash_limit(self.rows)})"

    def _columns(self, column: str, measures: Sequence[str]) -> None:
        quoted, kind = identifier(column), self.found[column]
        finite = f" filter (where isfinite({quoted}))" if kind in FLOATS else ""
        aggregate = {
            "null_rate": f"count(*) - count({quoted})",
            "all_null": f"count(*) - count({quoted})",
            "min": f"min({quoted})",
            "max": f"max({quoted})",
            "mean": f"avg({quoted})",
            "std": f"stddev_samp({quoted}){finite}",
            "distinct": f"count(distinct {quoted})",
            "approx_distinct": f"approx_count_distinct({quoted})",
            "not_finite_rate": f"coalesce(count_if(not isfinite({quoted})), 0)",
            "sketch": self._sketch(f"hash({quoted})"),
        }
        if kind == "TIMESTAMP" and "run_day" in self.visible:
            ended = "cast(run_day as timestamp) + interval 1 day"
            newest = f"max({quoted}) filter (where {quoted} < {ended})"
            aggregate["hours_to_end"] = f"(epoch(any_value({ended})) - epoch({newest})) / 3600"
        sampled = {
            "median": f"quantile_cont({quoted}, 0.5)",
            "p05": f"quantile_cont({quoted}, 0.05)",
            "p95": f"quantile_cont({quoted}, 0.95)",
        }
        if kind == "VARCHAR":
            sampled["unreadable_rate"] = f"count(*) filter (where regexp_matches({quoted}, '{UNREADABLE}'))"
        for measure in measures:
            name = f"{column}__{'null_rate' if measure == 'all_null' else measure}"
            if measure in COUNTED:
                self.counted[name] = f"strftime({quoted}, '%H:00')" if kind == "TIMESTAMP" else quoted
            elif measure in SAMPLED and measure in sampled:
                self.sampled[name] = sampled[measure]
            elif measure in aggregate:
                self.aggregates[name] = aggregate[measure]
            if measure == "mean":
                self.sampled[f"{column}__deviation"] = aggregate["std"]

    def read(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn aggregates into a profile column (for a family also `<name>__of`, the column that decided)."""
        subject, _, measure = name.rpartition("__")
        rows = values["rows"]
        if subject == "key" and "key__hashes" in values:
            values = {**values, **_of_keys(values["key__hashes"] or [], hash_limit(self.rows))}
        if name == "key__duplicate_rate":
            keys, distinct = values.get("key__rows"), values.get("key__distinct")
            return {name: (keys - distinct) / keys if keys and distinct is not None else None}
        if subject in self.measure.families:
            return self._read_family(name, subject, measure, values)
        if name not in values:
            return {} if name in ("rows", *FROM_ELSEWHERE) else {name: None}
        if measure == "sketch":
            return {name: {"below": hash_limit(self.rows), "hashes": sorted(set(values[name] or []))}}
        if measure == "mean":
            return {name: values[name], f"{name}__deviation": values[f"{subject}__deviation"]}
        if name == "rows" or not measure.endswith("rate"):
            return {name: values[name] if rows or name == "rows" else None}
        of = values["sampled_rows"] if measure in SAMPLED else rows
        return {name: values[name] / of if of else None}

    def _read_family(self, name: str, subject: str, measure: str, values: Mapping[str, Any]) -> dict[str, Any]:
        columns, rows = family(self.measure, subject, self.found), values["rows"]
        if not columns or not rows:
            return {name: None}
        if measure == "constant":
            same = [c for c in columns if values[f"{c}__min"] == values[f"{c}__max"]]
            return {name: names(same)}
        if measure == "all_null":
            return {name: names([c for c in columns if values[f"{c}__null_rate"] == rows])}
        known = {c: values[f"{c}__{measure}"] for c in columns if values[f"{c}__{measure}"] is not None}
        if not known:
            return {name: None}
        worst = min(known, key=known.__getitem__) if measure == "min" else max(known, key=known.__getitem__)
        return {name: known[worst] / rows if measure.endswith("rate") else known[worst], f"{name}__of": worst}


FROM_ELSEWHERE = (
    "missing_days",
    "rows_vs_trailing",
    "rows_vs_manifest",
    "unparsed__rate",
    "unexpectedly_empty",
    "missing_columns",
    "unexpected_columns",
    "mistyped_columns",
)
"""Profile columns that the rows alone do not tell."""


def hash_limit(rows: int, kept: int = SKETCH_ROWS) -> int:
    """Return the hash below which those of about `kept` of so many rows lie."""
    return min(2**64 - 1, 2**64 * kept // max(rows, 1))


def _of_keys(hashes: Sequence[int], limit: int) -> dict[str, Any]:
    """Return what the keys with the smallest hashes tell of all of them."""
    return {
        "key__rows": len(hashes),
        "key__distinct": len(set(hashes)),
        "key__sketch": [key for key in hashes if key <= limit],
    }


def key_columns(measure: ProfileDeclaration, found: Mapping[str, str]) -> tuple[str, ...]:
    """Return the columns that name a row; `*` is every column that the source wrote."""
    if measure.key != ("*",):
        return measure.key
    return tuple(column for column in found if column != LANDED_COLUMN)


def family(measure: ProfileDeclaration, name: str, found: Mapping[str, str]) -> list[str]:
    """Return the columns a family names, by pattern or by type."""
    return [
        column
        for column, kind in found.items()
        if any(
            kind == pattern.removeprefix("type:") if pattern.startswith("type:") else fnmatchcase(column, pattern)
            for pattern in measure.families[name]
        )
    ]


def names(found: Iterable[str]) -> str:
    """Return a list of names as a profile holds it."""
    return ", ".join(found) or NONE


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
        raise CheckFailed(f"the rule {condition!r} is not an SQL condition: {first_line(error)}") from None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Condition) or tree.find(exp.Query, exp.Command) is not None:
        raise CheckFailed(f"the rule {condition!r} is not one SQL condition over the columns of a row")
    if any(column.name not in columns for column in tree.find_all(exp.Column)):
        return None
    return tree.sql(dialect="duckdb", comments=False)
