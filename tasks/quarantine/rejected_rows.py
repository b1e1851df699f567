"""The quarantine: every row that staging refused, with its table, its rule, and what it said.

    quarantine/<pipeline>/<table>/ds=YYYY-MM-DD/<digest>.parquet  id, table_name, rule, line, error, row, ds, landing
    quarantine/<pipeline>/<table>/ds=YYYY-MM-DD/manifest.json     which of them counts, and the earlier ones

A file is a function of the landed partition and of the SQL that judged it, and is named after both, whichever run put
it there: `landing` is the partition's sha256. The manifest says which run was the first, and `result.json` of each
run's `check_features` names the files of its day. When a day is landed again its earlier files stay. `id` is a digest
of what the row says, with `-2`, `-3` … for further rows that say the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import MatineeError
from tasks.features.ledger import CODE, Entry
from tasks.features.warehouse import Tables
from tasks.sources.csv_files import LINE_NUMBER
from tasks.sources.released_rows import REJECTS
from tasks.store.database import memory
from tasks.store.files import Home, digest, locked, read_json, safe_name, write_json
from tasks.store.partitions import partition_dir, read_manifest
from tasks.store.sql import literal

if TYPE_CHECKING:
    from tasks.runs.run import Run

UNPARSEABLE = "unparseable"
LOCK_SECONDS = 120


@dataclass(frozen=True)
class Refusals:
    """What was refused of a landed partition.

    Attributes:
        table: raw table.
        ds: its day.
        path: file with the rows; None if none is refused any more.
        landing: sha256 of the partition.
        code: digest of the SQL that judged it.
        offered: rows and unreadable lines that were judged; None if that landing is not known.
        rules: refused rows by rule.
        run: the run that put them there first: `<as-of day>/<attempt>`. Any other would have put the same.
        current: whether it is the last landing that was judged.
    """

    table: str
    ds: date
    path: Path | None
    landing: str
    code: str
    offered: int | None
    rules: dict[str, int]
    run: str
    current: bool

    @property
    def refused(self) -> int:
        """Refused rows, whichever the rule."""
        return sum(self.rules.values())


@dataclass(frozen=True)
class Row:
    """A refused row."""

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
        """What the row says, by column."""
        found: dict[str, Any] = json.loads(self.text)
        return found


def put_aside(tables: Tables, run: Run, source: str) -> dict[str, dict[str, Any]]:
    """Put the refused rows of every built day up to the as-of day into quarantine, where they are not there yet.

    Args:
        tables: of the warehouse.
        run: the run.
        source: the table of refused rows.

    Returns:
        Of each table that has some on the as-of day: how many, and the file that holds them.
    """
    ledger = tables.ledger()
    counts: dict[tuple[str, date], dict[str, int]] = {}
    for table, ds, rule, count in tables.rows(
        f"select table_name, ds, rule, count(*) from {source} where ds <= {literal(run.as_of)} group by all"
    ):
        counts.setdefault((table, ds), {})[rule] = count
    root = run.home.quarantine(run.spec.name)
    emptied = {(p.parent.parent.name, _day(p.parent)) for p in root.glob("*/ds=*/manifest.json")}
    with _locked(root):
        for table, ds in sorted(counts.keys() | {key for key in emptied if key[1] <= run.as_of}):
            made_of = _made_of(ledger, table, ds)
            if made_of:
                _renew(tables, run, source, table, ds, made_of, ledger.get(CODE, ""), counts.get((table, ds), {}))
    today = [found for found in refusals(run.home, run.spec.name, run.as_of, run.as_of) if found.path]
    return {found.table: {"rows": found.refused, "file": found.path.name} for found in today if found.path}


def _day(folder: Path) -> date:
    return date.fromisoformat(folder.name.removeprefix("ds="))


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    busy = "another process is writing to the quarantine; wait for it or end it, then try again"
    with locked(root / ".lock", busy, seconds=LOCK_SECONDS):
        yield


def _made_of(ledger: dict[Entry, str], table: str, ds: date) -> dict[str, str]:
    """Return the digests of the partitions that the refused rows of a table's day in the warehouse come from."""
    parts = {part: ledger.get(("rejected_rows", part, ds)) for part in (table, REJECTS)}
    return {part: sha256 for part, sha256 in parts.items() if sha256 is not None}


def _renew(
    tables: Tables, run: Run, source: str, table: str, ds: date,
    made_of: dict[str, str], code: str, rules: dict[str, int],
) -> None:  # fmt: skip
    """Write the refused rows of a table's day, unless they were judged from these partitions by this code before."""
    folder = run.home.quarantine(run.spec.name) / safe_name(table) / f"ds={ds}"
    earlier: list[dict[str, Any]] = read_json(folder / "manifest.json") if (folder / "manifest.json").exists() else []
    last = earlier[-1] if earlier else {}
    if (last.get("made_of"), last.get("code")) == (made_of, code):
        return
    name = f"{digest([made_of, code])[:16]}.parquet" if rules else None
    if name is not None:
        rows = f"{source} where ds = {literal(ds)} and table_name = {literal(table)}"
        _write(tables, rows, made_of, folder / name)
    entry = {
        "file": name,
        "made_of": made_of,
        "code": code,
        "offered": _offered(run, table, ds, made_of),
        "rules": rules,
        "run": f"{run.as_of}/{run.attempt}",
    }
    kept = earlier[:-1] if last.get("made_of") == made_of else earlier
    write_json(folder / "manifest.json", [*kept, entry])


def _write(tables: Tables, rows: str, made_of: dict[str, str], target: Path) -> None:
    own = literal(next((sha for part, sha in made_of.items() if part != REJECTS), ""))
    unread = literal(made_of.get(REJECTS, ""))
    numbers = ", ".join(f"json_extract_string(\"row\", '$.{name}')" for name in (LINE_NUMBER, "line"))
    query = f"""
        with numbered as (
            select *, row_number() over (partition by "row" order by rule) as copy,
                sha256(table_name || '|' || ds || '|' || "row")[:16] as content
            from {rows}
        )
        select
            content || case when copy > 1 then '-' || copy else '' end as id,
            table_name, rule, try_cast(coalesce({numbers}) as bigint) as line,
            case when rule = '{UNPARSEABLE}' then json_extract_string("row", '$.error') end as error,
            "row", ds, case when rule = '{UNPARSEABLE}' then {unread} else {own} end as landing
        from numbered order by rule, line, "row", copy
    """
    tables.write(query, target)


def _offered(run: Run, table: str, ds: date, made_of: dict[str, str]) -> int | None:
    """Return the rows that lay in front of staging: those of the landing that was judged, and its unreadable lines."""
    manifest = read_manifest(partition_dir(run.home, run.spec.source_name, table, ds))
    landings = () if manifest is None else manifest.landings
    of = {landing.sha256: landing.rows + landing.rejects for landing in landings}
    return of.get(made_of.get(table, ""))


def refusals(
    home: Home, pipeline: str, first: date, last: date, table: str | None = None, *, earlier: bool = False
) -> list[Refusals]:
    """Return what was refused on the days in [first, last], by table and day.

    Args:
        home: the state folder.
        pipeline: its name.
        first: first day.
        last: last day.
        table: only of this one.
        earlier: also of landings that have been replaced since.
    """
    found = []
    for path in sorted(home.quarantine(pipeline).glob("*/ds=*/manifest.json")):
        name, ds = path.parent.parent.name, _day(path.parent)
        if first <= ds <= last and table in (None, name):
            entries = read_json(path)
            found += [_refusals(path.parent, name, ds, e, current=e is entries[-1]) for e in entries]
    return [one for one in found if one.current or earlier]


def _refusals(folder: Path, table: str, ds: date, entry: dict[str, Any], *, current: bool) -> Refusals:
    made_of = entry["made_of"]
    return Refusals(
        table, ds, folder / entry["file"] if entry["file"] else None, made_of.get(table) or made_of.get(REJECTS, ""),
        entry["code"], entry["offered"], entry["rules"], entry["run"], current,
    )  # fmt: skip


def rows_of(found: Sequence[Refusals], rule: str | None = None, limit: int | None = None) -> list[Row]:
    """Return refused rows, by table, day and rule.

    Raises:
        MatineeError: a file that a manifest names is missing.
    """
    rows: list[Row] = []
    with memory() as connection:
        for one in found:
            if one.path is None or (rule is not None and rule not in one.rules):
                continue
            if not one.path.exists():
                raise MatineeError(
                    f"{one.path}: missing, though manifest.json beside it names it; delete that, and run "
                    "`matinee check … --what features` again: it is made anew from the warehouse"
                )
            chosen = f"where rule = {literal(rule)}" if rule is not None else ""
            count = f"limit {limit - len(rows)}" if limit is not None else ""
            query = f'select id, table_name, rule, ds, line, error, "row" from read_parquet({literal(str(one.path))})'
            rows += [Row(*(*values, one.run)) for values in connection.execute(f"{query} {chosen} {count}").fetchall()]
    return rows
