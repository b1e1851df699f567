"""The quarantine: every row that staging rejected, with its table, its rule and its content.

    quarantine/<pipeline>/<table>/ds=YYYY-MM-DD/<digest>.parquet  id, table_name, rule, line, error, row, ds, landing
    quarantine/<pipeline>/<table>/ds=YYYY-MM-DD/manifest.json     which file is current, and the earlier ones

A file depends only on the landed partition and on the SQL that checked it, and is named after both, whichever run wrote
it: `landing` is the partition's sha256. The manifest names the first run, and `result.json` of each run's
`check_features` names the files of its day. When a day is landed again, its earlier files stay. `id` is a digest of the
row's content, with `-2`, `-3` … for further rows with the same content.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.features.ledger import CODE, Entry
from tasks.features.warehouse import Tables
from tasks.quarantine.manifest import ManifestEntry, QuarantineManifest, check_file, read_entries
from tasks.sources.rejects import REJECTS
from tasks.store.atomic import locked
from tasks.store.database import memory
from tasks.store.files import Home, digest, safe_name, sha256_file
from tasks.store.partitions import day_of, partition_dir, read_manifest
from tasks.store.records import PlainName, Record
from tasks.store.sql import literal, render

if TYPE_CHECKING:
    from tasks.runs.run import Run

UNPARSEABLE = "unparseable"
LOCK_SECONDS = 120
SQL = Path(__file__).parent / "sql"
Part = tuple[str, date]
"""Table and day."""


class QuarantinedRows(Record):
    """How many rows of a table were rejected on a day, and the file that holds them."""

    rows: int
    file: PlainName


@dataclass(frozen=True)
class RejectedPart:
    """What was rejected of a landed partition.

    Attributes:
        table: raw table.
        ds: its day.
        path: file with the rows; None if none is rejected any more.
        sha256: of that file.
        landing: sha256 of the partition.
        code: digest of the SQL that checked it.
        offered: rows and unreadable lines that were checked; None if that landing is not known.
        rules: rejected rows by rule.
        run: the run that put them there first: `<as-of day>/<attempt>`. Any other would have written the same.
        current: whether it is the last landing that was checked.
    """

    table: str
    ds: date
    path: Path | None
    sha256: str | None
    landing: str
    code: str
    offered: int | None
    rules: dict[str, int]
    run: str
    current: bool

    @property
    def rejected(self) -> int:
        """Rejected rows, whichever the rule."""
        return sum(self.rules.values())


@dataclass(frozen=True)
class RejectedRow:
    """One rejected row; `text` is its content as JSON, exactly as staging wrote it."""

    id: str
    table: str
    rule: str
    ds: date
    line: int | None
    error: str | None
    text: str
    run: str

    @property
    def content(self) -> dict[str, Any]:
        """Values by column; of an unreadable line, `raw` is its text."""
        values: dict[str, Any] = json.loads(self.text)
        return values

    @property
    def raw(self) -> str:
        """Text of a line that could not be read."""
        return str(self.content["raw"])


@dataclass(frozen=True)
class _Rejections:
    """The rejected rows in the warehouse: their relation, and the ledger of what they were made from."""

    tables: Tables
    relation: str
    ledger: dict[Entry, str]

    @property
    def code(self) -> str:
        return self.ledger.get(CODE, "")

    def counts(self, last: date) -> dict[Part, dict[str, int]]:
        """Rejected rows by rule, of each table and day up to `last`."""
        counts: dict[Part, dict[str, int]] = {}
        query = f"select table_name, ds, rule, count(*) from {self.relation} where ds <= {literal(last)} group by all"
        for table, ds, rule, count in self.tables.rows(query):
            counts.setdefault((table, ds), {})[rule] = count
        return counts

    def made_of(self, part: Part) -> dict[str, str]:
        """Digests of the partitions that the rejected rows of a part come from."""
        table, ds = part
        digests = {name: self.ledger.get(("rejected_rows", name, ds)) for name in (table, REJECTS)}
        return {name: sha256 for name, sha256 in digests.items() if sha256 is not None}

    def write(self, part: Part, made_of: dict[str, str], target: Path) -> None:
        table, ds = part
        landing = next((sha256 for name, sha256 in made_of.items() if name != REJECTS), "")
        lines_landing = made_of.get(REJECTS, "")
        query = render(
            SQL, "rejected_rows",
            relation=self.relation, table=table, ds=ds, landing=landing, lines_landing=lines_landing,
        )  # fmt: skip
        self.tables.write(query, target)


def quarantine_rows(tables: Tables, run: Run, relation: str) -> dict[str, QuarantinedRows]:
    """Put the rejected rows of every built day up to the as-of day into quarantine, where they are not there yet.

    Args:
        tables: of the warehouse.
        run: the run.
        relation: the table of rejected rows.

    Returns:
        Of each table that has some on the as-of day: how many, and the file that holds them.
    """
    rejections = _Rejections(tables, relation, tables.ledger())
    counts = rejections.counts(run.as_of)
    root = run.home.quarantine(run.spec.name)
    # A day that had rejected rows and has none now gets an entry too, or the old rows would count as current for ever.
    known = {(p.parent.parent.name, day_of(p.parent)) for p in root.glob("*/ds=*/manifest.json")}
    busy = "another process is writing to the quarantine; wait for it or end it, then try again"
    with locked(root / ".lock", busy, seconds=LOCK_SECONDS):
        for part in sorted(counts.keys() | {part for part in known if part[1] <= run.as_of}):
            _update(run, rejections, part, counts.get(part, {}))
    today = rejected_parts(run.home, run.spec.name, run.as_of, run.as_of)
    return {part.table: QuarantinedRows(rows=part.rejected, file=part.path.name) for part in today if part.path}


def _update(run: Run, rejections: _Rejections, part: Part, rules: dict[str, int]) -> None:
    """Write the rejected rows of a part, unless this code has checked these partitions before."""
    made_of = rejections.made_of(part)
    if not made_of:
        return
    table, ds = part
    folder = run.home.quarantine(run.spec.name) / safe_name(table) / f"ds={ds}"
    entries = read_entries(folder / "manifest.json")
    last = entries[-1] if entries else None
    if last is not None and (last.made_of, last.code) == (made_of, rejections.code):
        return
    name = f"{digest([made_of, rejections.code])[:16]}.parquet" if rules else None
    if name is not None:
        rejections.write(part, made_of, folder / name)  # before the manifest, which must not name what is absent
    entry = ManifestEntry(
        file=name,
        sha256=None if name is None else sha256_file(folder / name),
        made_of=made_of,
        code=rejections.code,
        offered=_offered(run, part, made_of),
        rules=rules,
        run=f"{run.as_of}/{run.attempt}",
    )
    # Other SQL on the same landing replaces the entry; only another landing is history worth keeping.
    earlier = entries[:-1] if last is not None and last.made_of == made_of else entries
    QuarantineManifest(entries=(*earlier, entry)).write(folder / "manifest.json")


def _offered(run: Run, part: Part, made_of: dict[str, str]) -> int | None:
    """Count the rows in front of staging: those of the landing that was checked, and its unreadable lines."""
    table, ds = part
    manifest = read_manifest(partition_dir(run.home, run.spec.source_name, table, ds))
    landings = () if manifest is None else manifest.landings
    offered = {landing.sha256: landing.rows + landing.rejects for landing in landings}
    return offered.get(made_of.get(table, ""))


def rejected_parts(
    home: Home, pipeline: str, first: date, last: date, table: str | None = None, *, earlier: bool = False
) -> list[RejectedPart]:
    """List what was rejected on the days in [first, last], by table and day.

    Args:
        home: the state folder.
        pipeline: its name.
        first: first day.
        last: last day.
        table: only of this one.
        earlier: also of landings that have been replaced since.
    """
    parts = []
    for path in sorted(home.quarantine(pipeline).glob("*/ds=*/manifest.json")):
        name, ds = path.parent.parent.name, day_of(path.parent)
        if first <= ds <= last and table in (None, name):
            entries = read_entries(path)
            parts += [_part(path.parent, (name, ds), entry, current=entry is entries[-1]) for entry in entries]
    return [part for part in parts if part.current or earlier]


def _part(folder: Path, part: Part, entry: ManifestEntry, *, current: bool) -> RejectedPart:
    table, ds = part
    return RejectedPart(
        table, ds, folder / entry.file if entry.file else None, entry.sha256,
        entry.made_of.get(table) or entry.made_of.get(REJECTS, ""),
        entry.code, entry.offered, entry.rules, entry.run, current,
    )  # fmt: skip


def read_rejected_rows(
    parts: Sequence[RejectedPart], rule: str | None = None, limit: int | None = None
) -> list[RejectedRow]:
    """Read rejected rows from their files, by table, day and rule.

    Raises:
        MatineeError: a file that a manifest names is missing, or is not what was written.
    """
    rows: list[RejectedRow] = []
    with memory() as connection:
        for part in parts:
            if part.path is None or (rule is not None and rule not in part.rules):
                continue
            check_file(part.path, part.sha256)
            where = f"where rule = {literal(rule)}" if rule is not None else ""
            count = f"limit {limit - len(rows)}" if limit is not None else ""
            # No `order by`: DuckDB keeps the order of a file, and rejected_rows.sql has sorted it.
            query = f'select id, table_name, rule, ds, line, error, "row" from read_parquet({literal(str(part.path))})'
            for id_, table, name, ds, line, error, text in connection.execute(f"{query} {where} {count}").fetchall():
                rows.append(RejectedRow(id_, table, name, ds, line, error, text, part.run))
    return rows
