"""Bring rejected rows back: replace the landed row of each by the corrected one, and let staging check it again.

A corrected row that breaks a rule again is left out: it stays in quarantine as the source sent it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tasks.quarantine.corrected_rows import Match
from tasks.quarantine.corrections import Correction, landed_schema, sort_corrections
from tasks.quarantine.rejected_rows import UNPARSEABLE, Part, RejectedRow
from tasks.quarantine.revalidate import Rejection, rejected_now, rows_as_json
from tasks.sources.land import land_parts, landing_lock
from tasks.sources.rejects import REJECTS
from tasks.sources.released_rows import (
    ReleaseRecord,
    RowRelease,
    add_release,
    of_day,
    releases_of,
    with_corrections,
    without_lines,
)
from tasks.sources.source import Source
from tasks.store.files import Home, digest
from tasks.store.partitions import partition_dir, read_manifest, read_manifests

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.spec import Spec


@dataclass(frozen=True)
class Proposal:
    """What a release would do.

    Attributes:
        accepted: rows that come back.
        rejected: rows that are rejected again, and the rule.
        released: rows that were released before, and by which release.
        corrections: what is put in the landing; empty if it is a rule that was corrected.
        files: the corrections as they are stored, by table.
        newly_rejected: how many rows that are accepted today would be rejected besides the corrected ones.
    """

    accepted: list[RejectedRow]
    rejected: list[tuple[RejectedRow, str]]
    released: list[tuple[RejectedRow, str]] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    files: dict[str, pa.Table] = field(default_factory=dict)
    newly_rejected: int = 0

    @property
    def touches(self) -> dict[str, dict[date, int]]:
        """How many rows of which partitions it changes."""
        counts: dict[str, Counter[date]] = {}
        for correction in self.corrections:
            counts.setdefault(correction.row.table, Counter())[correction.ds] += 1
            if correction.before is None:  # the line leaves the unreadable ones, too
                counts.setdefault(REJECTS, Counter())[correction.row.ds] += 1
        return {table: dict(sorted(days.items())) for table, days in sorted(counts.items())}

    @property
    def parts(self) -> list[Part]:
        """The partitions that it changes."""
        return [(table, day) for table, days in self.touches.items() for day in days]

    @property
    def digest(self) -> str:
        """Identifies a release: the rows that come back, and the values they come back with."""
        # Neither who nor when: the same rows are recognized however often, and by whomever, they are released.
        corrections = {one.row.id: [one.ds, {name: str(value) for name, value in one.after.items()}]
                       for one in self.corrections}  # fmt: skip
        return digest([sorted(row.id for row in self.accepted), corrections])


def propose_rule(spec: Spec, home: Home, source: Source, rows: Sequence[RejectedRow]) -> Proposal:
    """Find the rejected rows that staging accepts as they are, because a rule was corrected."""
    rejected = rejected_now(spec, home, source.tables, {row.ds for row in rows}, {})
    remaining = {part: Counter(one.text for one in of_part) for part, of_part in rejected.items()}
    proposal = Proposal([], [])
    for row in rows:
        of_part = remaining.get((row.table, row.ds), Counter())
        if of_part[row.text]:
            of_part[row.text] -= 1  # equal rows are counted off one by one
            proposal.rejected.append((row, _rule(rejected[row.table, row.ds], row.text)))
        else:
            proposal.accepted.append(row)
    return proposal


def _rule(rejected: Sequence[Rejection], text: str) -> str:
    return next(one.rule for one in rejected if one.text == text)


def propose_rows(
    spec: Spec, home: Home, source: Source, matches: Sequence[Match], rejected_before: Sequence[RejectedRow]
) -> Proposal:
    """Find the rejected rows that come back in their corrected form.

    Args:
        spec: the pipeline.
        home: its state.
        source: its source.
        matches: rejected rows, and what they are corrected to.
        rejected_before: all rejected rows of the same tables and days.

    Raises:
        SourceError: a corrected row has other columns, or a value that does not fit its column.
        LandingError: a rejected row is no longer in the landing.
    """
    corrections = sort_corrections(spec, home, matches)
    ready = corrections.ready
    if not ready:
        return Proposal([], corrections.unusable, corrections.released)
    # Staging checks whole days: a rule such as "no duplicates" cannot be decided for a row alone.
    rows = _partitions(home, source, _files(home, source.name, ready), ready)
    days = {ds for _, ds in rows} | {one.row.ds for one in ready}  # a line may move to another day
    rejected = rejected_now(spec, home, source.tables, days, rows)
    rules = _rules_broken_again(home, source.name, ready, rejected, rejected_before)
    good = [one for one in ready if one.row.id not in rules]
    again = [(one.row, rules[one.row.id]) for one in ready if one.row.id in rules]
    return Proposal(
        [one.row for one in good],
        [*corrections.unusable, *again],
        corrections.released,
        good,
        _files(home, source.name, good),
        _newly_rejected(rejected, rejected_before, len(again)),
    )


def _files(home: Home, source: str, corrections: Sequence[Correction]) -> dict[str, pa.Table]:
    """Lay out corrections as a release stores them, by table."""
    import pyarrow as pa

    files = {}
    for table in sorted({one.row.table for one in corrections}):
        of_table = [one for one in corrections if one.row.table == table]
        row = pa.struct(list(landed_schema(home, source, table)))
        lines = [one.row if one.before is None else None for one in of_table]
        files[table] = pa.table(
            {
                "id": pa.array([one.row.id for one in of_table], pa.string()),
                "ds": pa.array([one.ds for one in of_table], pa.date32()),
                "reject_ds": pa.array([line and line.ds for line in lines], pa.date32()),
                "line": pa.array([line and line.line for line in lines], pa.int64()),
                "raw": pa.array([line and line.raw for line in lines], pa.string()),
                "before": pa.array([one.before for one in of_table], row),
                "after": pa.array([one.after for one in of_table], row),
            }
        )
    return files


def _partitions(
    home: Home, source: Source, files: Mapping[str, pa.Table], corrections: Sequence[Correction]
) -> dict[Part, pa.Table]:
    """Assemble the partitions as they would be landed."""
    import pyarrow.parquet as pq

    def landed(table: str, ds: date) -> pa.Table:
        (part,) = read_manifests(home, source.name, [table], ds, ds, verify=True)
        return pq.read_table(part.path)

    lines = [one for one in corrections if one.before is None]
    partitions = {}
    for table, ds in sorted({(one.row.table, one.ds) for one in corrections}):
        unread = {(one.row.line or 0, one.row.raw) for one in lines if one.row.table == table}
        partitions[table, ds] = with_corrections(landed(table, ds), of_day(files[table], "ds", ds), unread)
    for ds in sorted({one.row.ds for one in lines}):
        partitions[REJECTS, ds] = without_lines(landed(REJECTS, ds), ds, files)
    return partitions


def _rules_broken_again(
    home: Home,
    source: str,
    corrections: Sequence[Correction],
    rejected: Mapping[Part, Sequence[Rejection]],
    before: Sequence[RejectedRow],
) -> dict[str, str]:
    """Map the id of each corrected row that is rejected again to the rule; of equal corrected rows, the last ones."""
    import pyarrow as pa

    rules: dict[str, str] = {}
    for part in sorted({(one.row.table, one.ds) for one in corrections}):
        again = [one for one in rejected.get(part, ()) if one.rule != UNPARSEABLE]
        if not again:
            continue
        of_part = [one for one in corrections if (one.row.table, one.ds) == part]
        rows = pa.Table.from_pylist([one.after for one in of_part], landed_schema(home, source, part[0]))
        remaining = Counter(one.text for one in again)
        # Unlike `subtract`, this drops what falls below zero: rows that were rejected before and are not any more.
        remaining -= Counter(row.text for row in before if (row.table, row.ds) == part)
        # Backwards, as staging does: of equal rows it accepts the first and rejects the later ones as duplicates.
        for one, text in reversed(list(zip(of_part, rows_as_json(rows, again[0].text), strict=True))):
            if remaining[text] > 0:
                remaining[text] -= 1
                rules[one.row.id] = _rule(again, text)
    return rules


def _newly_rejected(rejected: Mapping[Part, Sequence[Rejection]], before: Sequence[RejectedRow], again: int) -> int:
    """Count the rows that are rejected besides the corrected ones, and were not before: now duplicates of one, say."""
    known = Counter((row.table, row.ds, row.text) for row in before)
    parts = {(row.table, row.ds) for row in before}
    now = Counter((*part, one.text) for part, of_part in rejected.items() if part in parts for one in of_part)
    return max(0, (now - known).total() - again)


def earlier_release(home: Home, source: str, proposal: Proposal) -> RowRelease | None:
    """Find the release that has already brought the same rows back."""
    return next((one for one in releases_of(home, source) if one.record.digest == proposal.digest), None)


def finish_releases(home: Home, source: Source) -> None:
    """Land what releases changed and nobody has landed since: the process that released was killed in between."""
    parts = {part for one in releases_of(home, source.name) for part in one.parts}
    stale = [
        (table, day)
        for table, day in sorted(parts)
        if (manifest := read_manifest(partition_dir(home, source.name, table, day))) is None
        or manifest.inputs != source.inputs(table, day)
    ]
    if stale:
        land_parts(source, home, stale)


def release(spec: Spec, home: Home, source: Source, proposal: Proposal, who: str, why: str) -> RowRelease:
    """Store what was proposed, and land the partitions that it touches again.

    Killed before the release is written, nothing has happened; killed after, the next landing of the days finishes it.

    Raises:
        SourceError: the source's input of a touched day is missing; nothing is released.
    """
    for table, day in proposal.parts:
        source.inputs(table, day)  # raises now, while nothing has been written
    counts = Counter((row.table, row.rule) for row in proposal.accepted)
    record = ReleaseRecord(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        who=who,
        why=why,
        pipeline=spec.name,
        kind="corrected rows" if proposal.corrections else "corrected rule",
        rows=tuple((table, rule, count) for (table, rule), count in sorted(counts.items())),
        days=tuple(sorted({row.ds for row in proposal.accepted})),
        touches=proposal.touches,
        digest=proposal.digest,
    )
    with landing_lock(home, source.name):
        row_release = add_release(home, source.name, record, proposal.files)
    # Landing takes the same lock, so it has to be free again.
    if proposal.parts:
        land_parts(source, home, proposal.parts)
    return row_release
