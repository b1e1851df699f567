"""The quarantine on the terminal and in files."""

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
from tasks.cli.answers import Quarantined, RejectedByRule, RejectedOfDay, Released
from tasks.operations.plan import format_days
from tasks.quarantine.corrected_lines import RAW
from tasks.quarantine.corrected_rows import DAY, ERROR, ID, LINE, RULE, RUN, TABLE
from tasks.quarantine.rejected_rows import UNPARSEABLE, RejectedPart, RejectedRow
from tasks.quarantine.rejection_rules import explain_rule, why_no_line
from tasks.quarantine.spreadsheet_cells import cells

if TYPE_CHECKING:
    from tasks.operations.staleness import StaleDays
    from tasks.quarantine.release import Proposal
    from tasks.sources.released_rows import RowRelease
    from tasks.spec.spec import Spec

BARS = "▁▂▃▄▅▆▇█"
TREND_DAYS = (7, 28)
BESIDE_TREND = 72
"""Fewest and most days of a trend, and the columns of the terminal that the rest of the table takes."""
LONGEST_RAW, MOST_NAMED = 200, 10


@dataclass(frozen=True)
class DayCount:
    """Rejected rows of one day, and how many were offered; None if that landing is not known."""

    ds: date
    rejected: int
    offered: int | None

    @property
    def rate(self) -> float | None:
        """Share of the rows."""
        return self.rejected / self.offered if self.offered else None


@dataclass(frozen=True)
class RuleCount:
    """What one rule rejected of one table, on each day with a landing that was checked."""

    table: str
    rule: str
    days: tuple[DayCount, ...]
    first_seen: date

    @property
    def rows(self) -> int:
        """Rejected rows."""
        return sum(day.rejected for day in self.days)

    @property
    def rate(self) -> float | None:
        """Share of the rows of all days."""
        offered = sum(day.offered or 0 for day in self.days)
        return self.rows / offered if offered else None


@dataclass(frozen=True)
class Listing:
    """What `list` shows.

    Attributes:
        spec: the pipeline.
        counts: what was rejected.
        releases: of the source.
        outdated: days that were landed again, or whose rules were changed, since they were checked.
    """

    spec: Spec
    counts: Sequence[RuleCount]
    releases: Sequence[RowRelease]
    outdated: Sequence[date]


def count_by_rule(
    parts: Sequence[RejectedPart], everything: Sequence[RejectedPart], rule: str | None
) -> list[RuleCount]:
    """Count rejected rows by table and rule.

    Args:
        parts: of the selected days.
        everything: of all days, to say when a rule was first seen.
        rule: only this one.
    """
    names = sorted({(part.table, name) for part in parts for name in part.rules if rule in (None, name)})
    return [
        RuleCount(
            table,
            name,
            tuple(DayCount(part.ds, part.rules.get(name, 0), part.offered) for part in parts if part.table == table),
            min(part.ds for part in everything if part.table == table and name in part.rules),
        )
        for table, name in names
    ]


def quarantine_answer(spec: Spec, counts: Sequence[RuleCount], releases: Sequence[RowRelease]) -> Quarantined:
    """The answer of `quarantine list`."""
    return Quarantined(
        pipeline=spec.name,
        rejected=tuple(
            RejectedByRule(
                table=count.table,
                rule=count.rule,
                why=explain_rule(spec.staging, count.rule),
                rows=count.rows,
                rate=count.rate,
                first_seen=count.first_seen,
                days=tuple(
                    RejectedOfDay(ds=day.ds, rejected=day.rejected, offered=day.offered, rate=day.rate)
                    for day in count.days
                ),
            )
            for count in counts
        ),
        releases=tuple(Released(name=each.folder.name, **each.record.model_dump()) for each in releases),
    )


def render_quarantine(listing: Listing, *, width: int, by_day: bool) -> RenderableType:
    """Lay out the table of rules, or of rules and days, and the releases below it.

    Args:
        listing: what to show.
        width: of the terminal, in characters.
        by_day: one line per day.
    """
    parts: list[RenderableType] = []
    counts = listing.counts
    if counts:
        bars = min(max(width - BESIDE_TREND, TREND_DAYS[0]), TREND_DAYS[1])
        parts.append(_by_day(counts) if by_day else _by_rule(counts, bars))
        parts.append(Text(""))
        parts += [
            Text.assemble((f"{rule}  ", "bold"), explain_rule(listing.spec.staging, rule))
            for rule in dict.fromkeys(count.rule for count in counts)
        ]
    else:
        parts.append("The quarantine is empty.")
    if listing.outdated:
        reason = "landed again, or checked by other SQL, since; run the day, or a later one"
        parts.append(Text(f"\n{format_days(listing.outdated)}: {reason}", style="yellow"))
    if listing.releases:
        parts += [Text(""), _releases(listing.releases)]
    return Group(*parts)


def _columns(*names: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """Start a table without lines; columns in `right` are aligned right, and those in `whole` are never wrapped."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in names:
        justify: Literal["right", "left"] = "right" if name in right else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name in {*right, *whole})
    return table


def _by_rule(counts: Sequence[RuleCount], bars: int) -> Table:
    table = _columns(
        "table", "rule", "rows", "share", "days", "since", "trend",
        right=("rows", "share", "days"), whole=("rule", "since", "trend"),
    )  # fmt: skip
    for count in counts:
        days = sum(day.rejected > 0 for day in count.days)
        share = "–" if count.rate is None else f"{100 * count.rate:.2g} %"
        trend = rate_bars([day.rate for day in count.days][-bars:])
        table.add_row(count.table, count.rule, f"{count.rows:,}", share, str(days), str(count.first_seen), trend)
    return table


def _by_day(counts: Sequence[RuleCount]) -> Table:
    table = _columns("table", "rule", "day", "rows", "of", "share", right=("rows", "of", "share"), whole=("day",))
    for count in counts:
        for day in count.days:
            if day.rejected:
                offered = f"{day.offered:,}" if day.offered is not None else "–"
                share = shown(day.rate, rate=True)
                table.add_row(count.table, count.rule, str(day.ds), f"{day.rejected:,}", offered, share)
    return table


def rate_bars(rates: Sequence[float | None]) -> str:
    """Draw days as bars from 0 to the highest of them, which is full."""
    known = [rate or 0.0 for rate in rates]  # unknown days keep their places, at zero
    top = max(known, default=0.0)
    return "".join(BARS[round(rate / top * (len(BARS) - 1))] if top else BARS[0] for rate in known)


def _releases(releases: Sequence[RowRelease]) -> Table:
    table = _columns("release", "made", "by", "rows", "what", "days", "why", right=("rows",), whole=("release", "made"))
    for release in releases:
        record = release.record
        what = ", ".join(f"{name}: {rule} {count}" for name, rule, count in record.rows)
        rows = sum(count for *_, count in record.rows)
        day, days = record.made_at[:10], format_days(record.days)
        table.add_row(release.folder.name, day, record.who, f"{rows:,}", what, days, record.why)
    return table


def _file_row(row: RejectedRow) -> dict[str, Any]:
    """Lay out a rejected row for a file: which row it is, and its own columns."""
    describing = {ID: row.id, TABLE: row.table, DAY: row.ds.isoformat(), RULE: row.rule, RUN: row.run}
    if row.rule == UNPARSEABLE:
        return {**describing, LINE: row.line, ERROR: row.error, RAW: row.raw}
    return describing | row.content


def rejected_rows_jsonl(rows: Sequence[RejectedRow]) -> str:
    """Write rows as JSON, one object per line."""
    return "".join(json.dumps(_file_row(row), ensure_ascii=False) + "\n" for row in rows)


def rejected_rows_csv(rows: Sequence[RejectedRow]) -> str:
    """Write rows as CSV with every column that one of them has."""
    records = [_file_row(row) for row in rows]
    names = list(dict.fromkeys(name for record in records for name in record))  # absent ones are left empty
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, lineterminator="\n")  # else lines end in \r\n
    writer.writeheader()
    writer.writerows(cells(record) for record in records)
    return stream.getvalue()


def render_rejected_rows(spec: Spec, rows: Sequence[RejectedRow]) -> RenderableType:
    """Lay out rows for the terminal, by table and rule, each under the rule's sentence."""
    parts: list[RenderableType] = []
    for table, rule in dict.fromkeys((row.table, row.rule) for row in rows):
        parts.append(Text.assemble((f"{table}: {rule}", "bold"), f"  {explain_rule(spec.staging, rule)}"))
        members = [row for row in rows if (row.table, row.rule) == (table, rule)]
        lines = ["line"] if any(row.line is not None for row in members) else []
        columns = _columns("id", "day", *lines, "error" if rule == UNPARSEABLE else "row", whole=("id", "day"))
        if rule == UNPARSEABLE:
            columns.add_column("original line", overflow="fold")
        for row in members:
            text = [Text(row.error or ""), _raw(row)] if rule == UNPARSEABLE else [_content(row)]
            columns.add_row(row.id, str(row.ds), *[str(row.line or "unknown") for _ in lines], *text)
        parts += [columns, *([] if lines else [Text(why_no_line(spec, table), "dim")]), Text("")]
    return Group(*parts)


def _raw(row: RejectedRow) -> Text:
    # As JSON: control characters of a source must not reach the terminal, where they would act.
    raw = json.dumps(row.raw, ensure_ascii=False)
    return Text(raw if len(raw) <= LONGEST_RAW else f"{raw[:LONGEST_RAW]}… ({len(raw):,} characters)")


def _content(row: RejectedRow) -> Text:
    """Lay out a row column by column; text is quoted where it could be taken for something else."""
    parts: list[tuple[str, str] | str] = []
    for name, value in row.content.items():
        unquoted = isinstance(value, str) and value.isprintable() and not {*value} & {*' "'}
        text = value if unquoted else json.dumps(value, ensure_ascii=not str(value).isprintable())
        parts += [(f"{name} ", "dim"), (text, "bold red") if value is None else text, "  "]
    return Text.assemble(*parts)


def render_proposal(proposal: Proposal, stale: StaleDays, days: Sequence[date]) -> RenderableType:
    """Lay out what a release brings back, what it does not, and what becomes stale."""
    counts = _columns("", "table", "rule", "rows", right=("rows",))
    accepted = [(row.table, row.rule) for row in proposal.accepted]
    released = [(row.table, f"{row.rule}, {name}") for row, name in proposal.released]
    rejected = [(row.table, rule) for row, rule in proposal.rejected]
    for word, keys in (("comes back", accepted), ("already released", released), ("rejected again", rejected)):
        for table, rule in sorted(set(keys)):
            counts.add_row(word, table, rule, f"{keys.count((table, rule)):,}")
    lines: list[RenderableType] = [counts]
    named = proposal.rejected[:MOST_NAMED]  # the table above counts them all
    lines += [Text(f"rejected again: {row.table} {row.ds} {row.id}: {rule}") for row, rule in named]
    if proposal.newly_rejected:
        lines.append(
            Text(f"{proposal.newly_rejected:,} rows that are accepted now will be rejected; check them afterwards")
        )
    if proposal.accepted:
        lines.append(Text(f"days       {format_days(days)}"))
        lines.append(Text(f"stale      {_stale(stale)}"))
    return Group(*lines)


def _stale(stale: StaleDays) -> str:
    if not stale.runs:
        return "nothing: no run depends on these days"
    runs = f"runs of {format_days(stale.runs)}"
    if stale.other_code:
        return f"{runs}; the SQL has changed since the tables were built, so all of them will be built again"
    parts = [(stale.features, "feature days"), (stale.labels, "label cuts")]
    return "; ".join([runs, *(f"{what} {format_days(built)}" for built, what in parts if built)])
