"""How the quarantine looks on the terminal and in files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.checks.profile_columns import shown
from tasks.operations.plan import spans
from tasks.quarantine.corrected_lines import RAW
from tasks.quarantine.corrected_rows import DAY, ERROR, ID, LINE, RULE, RUN, TABLE
from tasks.quarantine.rejected_rows import UNPARSEABLE, Refusals, Row
from tasks.quarantine.rejection_rules import why

if TYPE_CHECKING:
    from tasks.operations.staleness import Stale
    from tasks.quarantine.release import Proposal
    from tasks.sources.released_rows import RowRelease
    from tasks.spec.spec import Spec

BARS = "▁▂▃▄▅▆▇█"
TREND_DAYS = (7, 28)
BESIDE_TREND = 72
"""Least and most days of a trend, and the columns of the terminal that the rest of the table takes."""
LONGEST_RAW = 200
MOST_NAMED = 10


@dataclass(frozen=True)
class Tally:
    """What one rule refused of one table: of each day with a landing that was judged, how many, and of how many."""

    table: str
    rule: str
    days: tuple[tuple[date, int, int | None], ...]
    first_seen: date

    @property
    def rows(self) -> int:
        """Refused rows."""
        return sum(count for _, count, _ in self.days)

    @property
    def rate(self) -> float | None:
        """Share of the rows of all days."""
        offered = sum(rows or 0 for _, _, rows in self.days)
        return self.rows / offered if offered else None

    @property
    def rates(self) -> list[float | None]:
        """Share of each day."""
        return [count / rows if rows else None for _, count, rows in self.days]


def tallies(found: Sequence[Refusals], everything: Sequence[Refusals], rule: str | None) -> list[Tally]:
    """Count refused rows by table and rule.

    Args:
        found: of the days that are asked for.
        everything: of all days, to say when a rule was first seen.
        rule: only this one.
    """
    names = sorted({(one.table, name) for one in found for name in one.rules if rule in (None, name)})
    return [
        Tally(
            table,
            name,
            tuple((one.ds, one.rules.get(name, 0), one.offered) for one in found if one.table == table),
            min(one.ds for one in everything if one.table == table and name in one.rules),
        )
        for table, name in names
    ]


def as_json(spec: Spec, counted: Sequence[Tally], releases: Sequence[RowRelease]) -> dict[str, Any]:
    """Return the list as JSON."""
    return {
        "pipeline": spec.name,
        "refused": [
            {
                "table": one.table,
                "rule": one.rule,
                "why": why(spec.staging, one.rule),
                "rows": one.rows,
                "rate": one.rate,
                "first_seen": one.first_seen,
                "days": [
                    {"ds": ds, "refused": count, "offered": offered, "rate": rate}
                    for (ds, count, offered), rate in zip(one.days, one.rates, strict=True)
                ],
            }
            for one in counted
        ],
        "releases": [{"name": one.name, **one.record.to_json()} for one in releases],
    }


def overview(
    spec: Spec,
    counted: Sequence[Tally],
    releases: Sequence[RowRelease],
    outdated: Sequence[date],
    *,
    width: int,
    by_day: bool,
) -> RenderableType:
    """Return the table of rules, or of rules and days, and the releases below it.

    Args:
        spec: the pipeline.
        counted: what was refused.
        releases: of the source.
        outdated: days that were landed again, or whose rules were changed, since they were judged.
        width: of the terminal, in characters.
        by_day: a line for each day.
    """
    parts: list[RenderableType] = []
    if counted:
        bars = min(max(width - BESIDE_TREND, TREND_DAYS[0]), TREND_DAYS[1])
        parts.append(_by_day(counted) if by_day else _by_rule(counted, bars))
        parts.append(Text(""))
        parts += [
            Text.assemble((f"{rule}  ", "bold"), why(spec.staging, rule))
            for rule in dict.fromkeys(one.rule for one in counted)
        ]
    else:
        parts.append("Nothing is in quarantine.")
    if outdated:
        words = f"\n{spans(outdated)}: landed again, or judged by other SQL, since; run the day, or a later one"
        parts.append(Text(words, style="yellow"))
    if releases:
        parts += [Text(""), _releases(releases)]
    return Group(*parts)


def _plain_table(*columns: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        justify: Literal["right", "left"] = "right" if name in right else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name in {*right, *whole})
    return table


def _by_rule(counted: Sequence[Tally], bars: int) -> Table:
    table = _plain_table(
        "table", "rule", "rows", "share", "days", "since", "trend",
        right=("rows", "share", "days"), whole=("rule", "since", "trend"),
    )  # fmt: skip
    for one in counted:
        days = sum(count > 0 for _, count, _ in one.days)
        share = "–" if one.rate is None else f"{100 * one.rate:.2g} %"
        table.add_row(
            one.table, one.rule, f"{one.rows:,}", share, str(days), str(one.first_seen), sparkline(one.rates[-bars:])
        )
    return table


def _by_day(counted: Sequence[Tally]) -> Table:
    table = _plain_table("table", "rule", "day", "rows", "of", "share", right=("rows", "of", "share"), whole=("day",))
    for one in counted:
        for (ds, count, offered), rate in zip(one.days, one.rates, strict=True):
            if count:
                of = f"{offered:,}" if offered is not None else "–"
                table.add_row(one.table, one.rule, str(ds), f"{count:,}", of, shown(rate, rate=True))
    return table


def sparkline(rates: Sequence[float | None]) -> str:
    """Return days as bars, the highest of them full."""
    known = [rate or 0.0 for rate in rates]
    top = max(known, default=0.0)
    return "".join(BARS[round(rate / top * (len(BARS) - 1))] if top else BARS[0] for rate in known)


def _releases(releases: Sequence[RowRelease]) -> Table:
    table = _plain_table(
        "release", "made", "by", "rows", "what", "days", "why", right=("rows",), whole=("release", "made")
    )
    for one in releases:
        record = one.record
        what = ", ".join(f"{name}: {rule} {count}" for name, rule, count in record.rows)
        days = spans(list(record.days))
        rows = sum(count for *_, count in record.rows)
        table.add_row(one.name, record.made_at[:10], record.who, f"{rows:,}", what, days, record.why)
    return table


def record_of(row: Row) -> dict[str, Any]:
    """Return a refused row as files have it: which row it is, and its own columns."""
    described = {ID: row.id, TABLE: row.table, DAY: row.ds.isoformat(), RULE: row.rule, RUN: row.run}
    if row.rule == UNPARSEABLE:
        return {**described, LINE: row.line, ERROR: row.error, RAW: row.content["raw"]}
    return described | row.content


def as_jsonl(rows: Sequence[Row]) -> str:
    """Return rows as JSON, one a line."""
    return "".join(json.dumps(record_of(row), ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows: Sequence[Row]) -> str:
    """Return rows as CSV with every column that one of them has."""
    records = [record_of(row) for row in rows]
    names = list(dict.fromkeys(name for record in records for name in record))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def as_tables(spec: Spec, rows: Sequence[Row]) -> RenderableType:
    """Return rows readable on a terminal, by table and rule, each with the rule's sentence above it."""
    parts: list[RenderableType] = []
    for table, rule in dict.fromkeys((row.table, row.rule) for row in rows):
        own = [row for row in rows if (row.table, row.rule) == (table, rule)]
        parts.append(Text.assemble((f"{table}: {rule}", "bold"), f"  {why(spec.staging, rule)}"))
        columns = _plain_table("id", "day", "line", "error" if rule == UNPARSEABLE else "row", whole=("id", "day"))
        if rule == UNPARSEABLE:
            columns.add_column("line as it came", overflow="fold")
        for row in own:
            line = "–" if row.line is None else str(row.line)
            if rule == UNPARSEABLE:
                raw = json.dumps(row.content["raw"], ensure_ascii=False)
                text = raw if len(raw) <= LONGEST_RAW else f"{raw[:LONGEST_RAW]}… ({len(raw):,} characters)"
                columns.add_row(row.id, str(row.ds), line, Text(row.error or ""), Text(text))
            else:
                columns.add_row(row.id, str(row.ds), line, _row_text(row))
        parts += [columns, Text("")]
    return Group(*parts)


def _row_text(row: Row) -> Text:
    """Return what a row says, column by column; text is quoted where it could be taken for something else."""
    parts: list[tuple[str, str] | str] = []
    for name, value in row.content.items():
        plain = isinstance(value, str) and value.isprintable() and not {*value} & {*' "'}
        said = value if plain else json.dumps(value, ensure_ascii=not str(value).isprintable())
        parts += [(f"{name} ", "dim"), (said, "bold red") if value is None else said, "  "]
    return Text.assemble(*parts)


def verdict(found: Proposal, stale: Stale, days: Sequence[date]) -> RenderableType:
    """Return what a release brings back, what it does not, and what becomes stale."""
    counts = _plain_table("", "table", "rule", "rows", right=("rows",))
    back = [(row.table, row.rule) for row in found.back]
    released = [(row.table, f"{row.rule}, {name}") for row, name in found.released]
    still = [(row.table, rule) for row, rule in found.still]
    for word, keys in (("comes back", back), ("released already", released), ("refused again", still)):
        for table, rule in sorted(set(keys)):
            counts.add_row(word, table, rule, f"{keys.count((table, rule)):,}")
    lines: list[RenderableType] = [counts]
    lines += [Text(f"refused again: {row.table} {row.ds} {row.id}: {rule}") for row, rule in found.still[:MOST_NAMED]]
    if found.new_faults:
        lines.append(Text(f"{found.new_faults:,} rows that were accepted are refused then: look at them afterwards"))
    if found.back:
        lines.append(Text(f"days       {spans(days)}"))
        lines.append(Text(f"stale      {_stale(stale)}"))
    return Group(*lines)


def _stale(stale: Stale) -> str:
    if not stale.runs:
        return "no day that was run depends on them"
    runs = f"runs of {spans(stale.runs)}"
    if stale.other_code:
        return f"{runs}; the SQL has changed since the tables were built, so that all of them are built again"
    parts = [(stale.features, "feature days"), (stale.labels, "label cuts")]
    return "; ".join([runs, *(f"{what} {spans(built)}" for built, what in parts if built)])
