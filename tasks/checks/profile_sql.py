"""What is measured of rows: the aggregates behind a profile's columns, most in one scan of all rows.

Quantiles, mixes, the commonest value and unreadable texts are taken from every row of a table of up to `EXACT_ROWS`
rows, and of every n-th row of a bigger one: about 50,000 rows tell shares to a fifth of a percent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tasks.checks.profile_columns import Measures, ProfileColumn
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
rows of a key are in or out): counting them all costs more than everything else in a profile at 10 M rows."""
SKETCH_ROWS = 5_000
"""Rows of a day whose keys (or values of a column) are kept to find them again on another day: the smallest hashes."""
MIX_VALUES = 200
OTHERS = "(others)"
SAMPLED = ("median", "p05", "p95", "unreadable_rate", "null_word_rate")
COUNTED = ("top_share", "mix")
UNREADABLE = r"[\x{FFFD}\x{0080}-\x{009F}\x00-\x08\x0B\x0C\x0E-\x1F]|Ã[^\x00-\x7F]|â€|Â[\x{00A0}-\x{00BF}]"
"""A replacement or control character, or UTF-8 that was read as Latin-1 (`Ã©` for `é`)."""
NULL_WORD = r"(?i)null|none|nan|nil|n/a|#n/a|<na>|undefined|\\N"
"""What programs write where there is no value; as an id it would be somebody who does very much."""
FLOATS = ("FLOAT", "DOUBLE")
LANDED_COLUMNS = frozenset({"line_number", "sent_before"})
"""Added by the landing, so no part of what a source said; where nothing comes again, the second is always empty."""
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


@dataclass(frozen=True)
class ColumnSql:
    """Expressions that measure one column of a table."""

    name: str
    kind: str
    """DuckDB type."""
    rows: int
    has_run_day: bool

    def exact(self) -> dict[str, str]:
        """Aggregates over all rows, by measure."""
        quoted = identifier(self.name)
        # stddev_samp raises on infinity and NaN; the other aggregates carry them through
        finite = f" filter (where isfinite({quoted}))" if self.kind in FLOATS else ""
        aggregates = {
            "null_rate": f"count(*) - count({quoted})",
            "min": f"min({quoted})",
            "max": f"max({quoted})",
            "mean": f"avg({quoted})",
            "std": f"stddev_samp({quoted}){finite}",
            "distinct": f"count(distinct {quoted})",
            "approx_distinct": f"approx_count_distinct({quoted})",
            "not_finite_rate": f"coalesce(count_if(not isfinite({quoted})), 0)",
            "sketch": sketch(f"hash({quoted})", self.rows),
        }
        if self.kind == "TIMESTAMP" and self.has_run_day:
            ended = "cast(run_day as timestamp) + interval 1 day"
            newest = f"max({quoted}) filter (where {quoted} < {ended})"
            aggregates["hours_to_end"] = f"(epoch(any_value({ended})) - epoch({newest})) / 3600"
        return aggregates

    def sampled(self) -> dict[str, str]:
        """Aggregates that need sorting, or a regular expression on each row, by measure."""
        quoted = identifier(self.name)
        aggregates = {
            "median": f"quantile_cont({quoted}, 0.5)",
            "p05": f"quantile_cont({quoted}, 0.05)",
            "p95": f"quantile_cont({quoted}, 0.95)",
        }
        if self.kind == "VARCHAR":
            aggregates["null_word_rate"] = f"count(*) filter (where regexp_full_match(trim({quoted}), '{NULL_WORD}'))"
            aggregates["unreadable_rate"] = f"count(*) filter (where regexp_matches({quoted}, '{UNREADABLE}'))"
        return aggregates

    @property
    def counted(self) -> str:
        """What is counted by value: of a time, its hour."""
        return f"strftime({identifier(self.name)}, '%H:00')" if self.kind == "TIMESTAMP" else identifier(self.name)


class ProfilePlan:
    """Aggregates of one statement, each computed once however many measures need it."""

    def __init__(
        self, measure: ProfileDeclaration, rows: int, types: Mapping[str, str], visible: Mapping[str, str]
    ) -> None:
        """Plan for a table.

        Args:
            measure: what the suite declares about it.
            rows: how many it has.
            types: DuckDB types of the columns that are as declared.
            visible: those, and the days that rules may name.
        """
        self.measure, self.rows, self.types, self.visible = measure, rows, types, visible
        self.aggregates: dict[str, str] = {"rows": "count(*)"}
        if measure.unit in types:
            # An approximate count is enough: units only size what chance explains.
            self.aggregates["units"] = f"approx_count_distinct({identifier(str(measure.unit))})"
        self.sampled: dict[str, str] = {}
        self.counted: dict[ProfileColumn, str] = {}
        self.sampled_subjects: set[str] = set()

    def add(self, column: ProfileColumn) -> None:
        """Take in the aggregates that a profile column needs."""
        subject, measure = column.subject, column.measure
        if subject == "key":
            self._add_key(column)
        elif subject in self.measure.rules:
            condition = rule(self.measure.rules[subject], self.visible)
            if condition is not None:
                self.aggregates[column.name] = f"coalesce(count_if({condition}), 0)"  # a filter costs three times more
        elif subject in self.measure.families:
            for member in family(self.measure, subject, self.types):
                for needed in ("min", "max") if measure == "constant" else (measure,):
                    self._add_measure(ProfileColumn(member, needed))
        elif subject in self.types:
            self._add_measure(column)

    def _add_key(self, column: ProfileColumn) -> None:
        columns = key_columns(self.measure, self.types)
        if not columns or not set(columns) <= set(self.types):
            return
        both = ", ".join(identifier(name) for name in columns)
        # `hash` of several columns, or of their joined text, collides where they are alike, like `r07@u07` and `i07`.
        key = f"hash({both})" if len(columns) == 1 else f"md5_number_lower(concat_ws(chr(31), {both}))"
        if column.measure == "null_rate":
            broken = " or ".join(f"{identifier(name)} is null" for name in columns)
            self.aggregates[column.name] = f"coalesce(count_if({broken}), 0)"
        elif self.rows > EXACT_ROWS:
            # One list serves duplicates and the sketch alike: a second hash of every row would cost as much again.
            self.aggregates["key__hashes"] = sketch(key, self.rows, KEY_ROWS)
        elif column.measure == "sketch":
            self.aggregates[column.name] = sketch(key, self.rows)
        else:
            self.aggregates |= {"key__rows": "count(*)", "key__distinct": f"count(distinct row({both}))"}

    def _add_measure(self, column: ProfileColumn) -> None:
        sql = ColumnSql(column.subject, self.types[column.subject], self.rows, "run_day" in self.visible)
        exact, sampled = sql.exact(), sql.sampled()
        if column.measure == "all_null":
            column = column.sibling("null_rate")
        if column.measure in COUNTED:
            self.counted[column] = sql.counted
            self.sampled_subjects.add(column.subject)
        elif column.measure in SAMPLED and column.measure in sampled:
            self.sampled[column.name] = sampled[column.measure]
            self.sampled_subjects.add(column.subject)
        elif column.measure in exact:
            self.aggregates[column.name] = exact[column.measure]
        if column.measure == "mean":
            # Kept beside a mean: how far single values lie apart says how far chance moves it.
            self.sampled[column.deviation] = exact["std"]
            self.sampled_subjects.add(column.subject)

    def read(self, column: ProfileColumn, values: Mapping[str, Any]) -> Measures:
        """Turn aggregates into a profile column (with it, for a family, the column that decided)."""
        name, measure, rows = column.name, column.measure, values["rows"]
        if column.subject == "key" and "key__hashes" in values:
            values = {**values, **_of_keys(values["key__hashes"] or [], hash_limit(self.rows))}
        if name == "key__duplicate_rate":
            keys, distinct = values.get("key__rows"), values.get("key__distinct")
            return {name: (keys - distinct) / keys if keys and distinct is not None else None}
        if column.subject in self.measure.families:
            return self._read_family(column, values)
        if name not in values:
            return {} if name in ("rows", *FROM_ELSEWHERE) else {name: None}
        if measure == "sketch":
            return {name: {"below": hash_limit(self.rows), "hashes": sorted(set(values[name] or []))}}
        if measure == "mean":
            return {name: values[name], column.deviation: values[column.deviation]}
        if name == "rows" or not measure.endswith("rate"):
            return {name: values[name] if rows or name == "rows" else None}
        whole = values["sampled_rows"] if measure in SAMPLED else rows
        return {name: values[name] / whole if whole else None}

    def _read_family(self, column: ProfileColumn, values: Mapping[str, Any]) -> Measures:
        members, rows = family(self.measure, column.subject, self.types), values["rows"]
        name, measure = column.name, column.measure
        if not members or not rows:
            return {name: None}

        def of(member: str, measure: str) -> Any:
            return values[ProfileColumn(member, measure).name]

        if measure == "constant":
            return {name: names(member for member in members if of(member, "min") == of(member, "max"))}
        if measure == "all_null":
            return {name: names(member for member in members if of(member, "null_rate") == rows)}
        known = {member: of(member, measure) for member in members if of(member, measure) is not None}
        if not known:
            return {name: None}
        # The worst column has the lowest minimum, or the highest value of any other measure.
        worst = min(known, key=known.__getitem__) if measure == "min" else max(known, key=known.__getitem__)
        return {name: known[worst] / rows if measure.endswith("rate") else known[worst], column.decided_by: worst}


def hash_limit(rows: int, kept: int = SKETCH_ROWS) -> int:
    """The hash below which those of about `kept` of so many rows lie: hashes are uniform over 64 bits."""
    return min(2**64 - 1, 2**64 * kept // max(rows, 1))


def sketch(key: str, rows: int, kept: int = SKETCH_ROWS) -> str:
    """SQL that lists the smallest hashes of about `kept` of so many rows."""
    return f"list({key}) filter (where {key} <= {hash_limit(rows, kept)})"


def _of_keys(hashes: Sequence[int], limit: int) -> Measures:
    """What the keys with the smallest hashes tell of all of them."""
    return {
        "key__rows": len(hashes),
        "key__distinct": len(set(hashes)),
        "key__sketch": [key for key in hashes if key <= limit],
    }


def key_columns(measure: ProfileDeclaration, types: Mapping[str, str]) -> tuple[str, ...]:
    """The columns that name a row; `*` is every column that the source wrote."""
    if measure.key != ("*",):
        return measure.key
    return tuple(column for column in types if column not in LANDED_COLUMNS)


def family(measure: ProfileDeclaration, name: str, types: Mapping[str, str]) -> list[str]:
    """The columns that a family names, by pattern or by type."""
    return [
        column
        for column, kind in types.items()
        if column not in LANDED_COLUMNS
        and any(
            # Not `fnmatch`, which ignores case on some systems.
            kind == pattern.removeprefix("type:") if pattern.startswith("type:") else fnmatchcase(column, pattern)
            for pattern in measure.families[name]
        )
    ]


def names(listed: Iterable[str]) -> str:
    """A list of names as a profile has it."""
    return ", ".join(listed) or NONE


def rule(condition: str, columns: Mapping[str, str]) -> str | None:
    """Write a rule as SQL from its parsed tree; None if it names a column that is not there.

    Only what was parsed is executed, so that no comment or second statement in a suite reaches the database.

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
