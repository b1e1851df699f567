"""Bring refused rows back: find the landed row of each, put the mended one in its place, let staging judge it again.

A row whose mended form breaks a rule again is not taken over: it stays in quarantine as the source sent it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from tasks.quarantine.corrected_rows import Mended
from tasks.quarantine.corrections import Correction, Part, landed_schema, mends_of
from tasks.quarantine.rejected_rows import UNPARSEABLE, Row
from tasks.quarantine.revalidate import refused_now, texts
from tasks.sources.land import land_parts, landing_lock
from tasks.sources.released_rows import (
    REJECTS,
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
        back: rows that come back.
        still: rows that are refused again, and why.
        released: rows that were released before, and by which release.
        mends: what is put in the landing; empty if it is a rule that was mended.
        files: the mends as they are kept, by table.
        new_faults: how many rows that were accepted are refused beside the mended ones.
    """

    back: list[Row]
    still: list[tuple[Row, str]]
    released: list[tuple[Row, str]] = field(default_factory=list)
    mends: list[Correction] = field(default_factory=list)
    files: dict[str, pa.Table] = field(default_factory=dict)
    new_faults: int = 0

    @property
    def touches(self) -> dict[str, dict[date, int]]:
        """How many rows of which partitions it changes."""
        found: dict[str, Counter[date]] = {}
        for mend in self.mends:
            found.setdefault(mend.row.table, Counter())[mend.ds] += 1
            if mend.before is None:
                found.setdefault(REJECTS, Counter())[mend.row.ds] += 1
        return {table: dict(sorted(days.items())) for table, days in sorted(found.items())}

    @property
    def parts(self) -> list[Part]:
        """The partitions that it changes."""
        return [(table, day) for table, days in self.touches.items() for day in days]

    @property
    def digest(self) -> str:
        """What tells it from another release."""
        mends = {
            mend.row.id: [mend.ds, {name: str(value) for name, value in mend.after.items()}] for mend in self.mends
        }
        return digest([sorted(row.id for row in self.back), mends])


def propose_rule(spec: Spec, home: Home, source: Source, rows: Sequence[Row]) -> Proposal:
    """Find out which refused rows staging accepts as they are, because a rule was mended."""
    refused = refused_now(spec, home, source.tables, {row.ds for row in rows}, {})
    left = {part: Counter(text for _, text in found) for part, found in refused.items()}
    back, still = [], []
    for row in rows:
        of_part = left.get((row.table, row.ds), Counter())
        if of_part[row.text]:
            of_part[row.text] -= 1
            still.append((row, _rule(refused[row.table, row.ds], row.text)))
        else:
            back.append(row)
    return Proposal(back, still)


def _rule(refused: Sequence[tuple[str, str]], text: str) -> str:
    return next(rule for rule, said in refused if said == text)


def propose_rows(
    spec: Spec, home: Home, source: Source, pairs: Sequence[tuple[Row, Mended]], refused_before: Sequence[Row]
) -> Proposal:
    """Find out which refused rows come back in their mended form.

    Args:
        spec: the pipeline.
        home: its state.
        source: its source.
        pairs: refused rows, and what they are mended to.
        refused_before: all refused rows of the same tables and days.

    Raises:
        SourceError: a mended row has other columns, or a value that its column cannot hold.
        LandingError: a refused row is not in the landing any more.
    """
    found = mends_of(spec, home, pairs)
    mends = found.ready
    if not mends:
        return Proposal([], found.unmended, found.released)
    rows = _partitions(home, source, _files(home, source.name, mends), mends)
    refused = refused_now(spec, home, source.tables, {ds for _, ds in rows} | {m.row.ds for m in mends}, rows)
    verdicts = _verdicts(home, source.name, mends, refused, refused_before)
    good = [mend for mend in mends if mend.row.id not in verdicts]
    still = [(mend.row, verdicts[mend.row.id]) for mend in mends if mend.row.id in verdicts]
    return Proposal(
        [mend.row for mend in good],
        [*found.unmended, *still],
        found.released,
        good,
        _files(home, source.name, good),
        _new_faults(refused, refused_before, len(still)),
    )


def _files(home: Home, source: str, mends: Sequence[Correction]) -> dict[str, pa.Table]:
    """Return mends as they are kept, by table."""
    import pyarrow as pa

    found = {}
    for table in sorted({mend.row.table for mend in mends}):
        own = [mend for mend in mends if mend.row.table == table]
        row = pa.struct(list(landed_schema(home, source, table)))
        lines = [mend.row if mend.before is None else None for mend in own]
        found[table] = pa.table(
            {
                "id": pa.array([mend.row.id for mend in own], pa.string()),
                "ds": pa.array([mend.ds for mend in own], pa.date32()),
                "reject_ds": pa.array([line and line.ds for line in lines], pa.date32()),
                "line": pa.array([line and line.line for line in lines], pa.int64()),
                "raw": pa.array([line and line.content["raw"] for line in lines], pa.string()),
                "before": pa.array([mend.before for mend in own], row),
                "after": pa.array([mend.after for mend in own], row),
            }
        )
    return found


def _partitions(
    home: Home, source: Source, files: Mapping[str, pa.Table], mends: Sequence[Correction]
) -> dict[Part, pa.Table]:
    """Return the partitions as they would be landed."""
    import pyarrow.parquet as pq

    def landed(table: str, ds: date) -> pa.Table:
        (part,) = read_manifests(home, source.name, [table], ds, ds)
        return pq.read_table(part.path)

    found = {}
    for table, ds in sorted({(mend.row.table, mend.ds) for mend in mends}):
        unread = {(m.row.line or 0, m.row.content["raw"]) for m in mends if m.before is None and m.row.table == table}
        found[table, ds] = with_corrections(landed(table, ds), of_day(files[table], "ds", ds), unread)
    for ds in sorted({mend.row.ds for mend in mends if mend.before is None}):
        found[REJECTS, ds] = without_lines(landed(REJECTS, ds), ds, files)
    return found


def _verdicts(
    home: Home,
    source: str,
    mends: Sequence[Correction],
    refused: Mapping[Part, Sequence[tuple[str, str]]],
    before: Sequence[Row],
) -> dict[str, str]:
    """Return the rule that each mended row breaks again, by its id; of mended rows that are alike, the last ones."""
    import pyarrow as pa

    found: dict[str, str] = {}
    for table, ds in sorted({(mend.row.table, mend.ds) for mend in mends}):
        again = [(rule, text) for rule, text in refused.get((table, ds), ()) if rule != UNPARSEABLE]
        if not again:
            continue
        own = [mend for mend in mends if (mend.row.table, mend.ds) == (table, ds)]
        rows = pa.Table.from_pylist([mend.after for mend in own], landed_schema(home, source, table))
        left = Counter(text for _, text in again)
        left -= Counter(row.text for row in before if (row.table, row.ds) == (table, ds))
        for mend, text in reversed(list(zip(own, texts(rows, again[0][1]), strict=True))):
            if left[text] > 0:
                left[text] -= 1
                found[mend.row.id] = _rule(again, text)
    return found


def _new_faults(refused: Mapping[Part, Sequence[tuple[str, str]]], before: Sequence[Row], still: int) -> int:
    """Count the rows that are refused beside the mended ones, and were not before: now the copies of one, say."""
    known = Counter((row.table, row.ds, row.text) for row in before)
    parts = {(row.table, row.ds) for row in before}
    now = Counter((*part, text) for part, found in refused.items() if part in parts for _, text in found)
    return max(0, (now - known).total() - still)


def done_before(home: Home, source: str, proposal: Proposal) -> RowRelease | None:
    """Return the release that brought the same rows back already."""
    return next((one for one in releases_of(home, source) if one.record.digest == proposal.digest), None)


def finish(home: Home, source: Source) -> None:
    """Land what releases have changed and was not landed since, because the process that released it was killed."""
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
    """Keep what was proposed, and land the partitions that it touches again.

    Killed before the release is written, nothing has happened; killed after, the next landing of the days finishes it.

    Raises:
        SourceError: the source's input of a touched day is missing; nothing is released.
    """
    for table, day in proposal.parts:
        source.inputs(table, day)
    counts = Counter((row.table, row.rule) for row in proposal.back)
    record = ReleaseRecord(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        who=who,
        why=why,
        pipeline=spec.name,
        kind="mended rows" if proposal.mends else "mended rule",
        rows=tuple((table, rule, count) for (table, rule), count in sorted(counts.items())),
        days=tuple(sorted({row.ds for row in proposal.back})),
        touches=proposal.touches,
        digest=proposal.digest,
    )
    with landing_lock(home, source.name):
        made = add_release(home, source.name, record, proposal.files)
    if proposal.parts:
        land_parts(source, home, proposal.parts)
    return made
