"""Corrections: the landed row behind each rejected one, and what it is corrected to, in the landing's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from tasks.errors import LandingError, SourceError, quoted
from tasks.quarantine.corrected_lines import RAW, read_lines
from tasks.quarantine.corrected_rows import DESCRIBING, CorrectedRow, Match
from tasks.quarantine.rejected_rows import UNPARSEABLE, Part, RejectedRow
from tasks.quarantine.revalidate import rows_as_json
from tasks.sources.rejects import LINE_NUMBER, REJECTS
from tasks.sources.released_rows import releases_of
from tasks.spec.yaml_lines import nearest
from tasks.store.database import memory
from tasks.store.files import Home
from tasks.store.partitions import partition_dir, read_manifest, read_manifests

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.spec import Spec


@dataclass(frozen=True)
class Correction:
    """A row to be put in the landing.

    `before` is the landed row that it replaces; None for a line that could not be read.
    """

    row: RejectedRow
    ds: date
    before: dict[str, Any] | None
    after: dict[str, Any]


@dataclass(frozen=True)
class SortedCorrections:
    """What becomes of corrected rows, before staging checks them.

    Attributes:
        ready: what is to be put in the landing.
        unusable: rows whose content is unchanged, and lines that still cannot be read; with the rule or the error.
        released: rows that are no longer in the landing because an earlier release replaced them; with its name.
    """

    ready: list[Correction] = field(default_factory=list)
    unusable: list[tuple[RejectedRow, str]] = field(default_factory=list)
    released: list[tuple[RejectedRow, str]] = field(default_factory=list)


def sort_corrections(spec: Spec, home: Home, matches: Sequence[Match]) -> SortedCorrections:
    """Find the landed row behind each rejected one, and sort the corrections by what can be done with them.

    Raises:
        SourceError: a corrected row has other columns, or a value that does not fit its column.
        LandingError: a rejected row is no longer in the landing, and was not released.
    """
    corrections = SortedCorrections()
    # Lines that could not be read lie in a table of their own, so a day of a table can take two partitions.
    by_partition: dict[tuple[str, Part], list[Match]] = {}
    for match in matches:
        row = match.rejected
        table = REJECTS if row.rule == UNPARSEABLE else row.table
        by_partition.setdefault((table, (row.table, row.ds)), []).append(match)
    release_ids = {release.folder.name: release.ids for release in releases_of(home, spec.source_name)}
    for (table, part), of_part in by_partition.items():
        landed = _landed(home, spec.source_name, table, part[1])
        places = _places(landed, [match.rejected for match in of_part])
        absent = [match.rejected for match in of_part if match.rejected.id not in places]
        corrections.released.extend(_released(absent, part, release_ids))
        present = [match for match in of_part if match.rejected.id in places]
        if not present:
            continue
        if table == REJECTS:
            _add_lines(spec, home, present, corrections)
        else:
            _add_rows(landed, places, present, corrections)
    return corrections


def _released(
    absent: Sequence[RejectedRow], part: Part, release_ids: Mapping[str, set[str]]
) -> list[tuple[RejectedRow, str]]:
    """Name the release that took each absent row out of the landing."""
    names = {row.id: next((name for name, ids in release_ids.items() if row.id in ids), None) for row in absent}
    if unknown := [row for row in absent if names[row.id] is None]:
        raise LandingError(
            f"{part[0]} of {part[1]}: {len(unknown)} rejected rows, the first is {unknown[0].id}, are no longer in the "
            "landing: the day has been landed again since they were rejected; run `matinee check … --what features` "
            "for the day, and show them again"
        )
    return [(row, name) for row in absent if (name := names[row.id]) is not None]


def _add_lines(spec: Spec, home: Home, matches: Sequence[Match], corrections: SortedCorrections) -> None:
    """Sort the corrected lines of one table."""
    read = read_lines(spec, matches)
    corrections.unusable.extend(read.unreadable)
    for line in read.lines:
        # The corrected text may name another day than the file it came in.
        if read_manifest(partition_dir(home, spec.source_name, line.row.table, line.ds)) is None:
            corrections.unusable.append((line.row, f"It belongs to {line.ds}, which is not landed."))
        else:
            corrections.ready.append(Correction(line.row, line.ds, None, line.values))


def _add_rows(
    landed: pa.Table, places: Mapping[str, int], matches: Sequence[Match], corrections: SortedCorrections
) -> None:
    """Sort the corrected rows of one partition."""
    before = landed.take([places[match.rejected.id] for match in matches]).to_pylist()
    after = _typed(landed.schema, before, [match.corrected for match in matches])
    for match, old, new in zip(matches, before, after, strict=True):
        row = match.rejected
        # It would break the same rule again; nobody has to ask staging.
        if old == new:
            corrections.unusable.append((row, row.rule))
        else:
            corrections.ready.append(Correction(row, row.ds, old, new))


def _landed(home: Home, source: str, table: str, day: date) -> pa.Table:
    import pyarrow.parquet as pq

    (part,) = read_manifests(home, source, [table], day, day, verify=True)
    return pq.read_table(part.path)


def _places(landed: pa.Table, rows: Sequence[RejectedRow]) -> dict[str, int]:
    """Map the id of each rejected row that is in a partition to its position there; of equal rows, to the last one."""
    positions: dict[str, list[int]] = {}
    for position, text in enumerate(rows_as_json(landed, rows[0].text)):
        positions.setdefault(text, []).append(position)
    # From the end: of equal rows staging accepts the first and rejects the later ones as duplicates.
    return {row.id: positions[row.text].pop() for row in rows if positions.get(row.text)}


def _typed(
    schema: pa.Schema, before: Sequence[dict[str, Any]], corrected: Sequence[CorrectedRow]
) -> list[dict[str, Any]]:
    """Give corrected rows the landing's types; a column that the file does not have keeps its landed value."""
    types = _column_types(schema)
    columns = [name for name in corrected[0].values if name in types and name != LINE_NUMBER]
    for row in corrected:
        # A file with rows of several tables has the columns of all of them: those of the others are empty here.
        given = {name: number for number, (name, text) in enumerate(row.values.items(), 1) if text is not None}
        if unknown := [name for name in given if name not in types and name not in {*DESCRIBING, RAW}]:
            # By its number: the file may be any, and only what is declared is repeated of it.
            raise SourceError(
                f"{row.place}: column {given[unknown[0]]} is unknown; expected some of {', '.join(types)}"
                f"{nearest(unknown[0], types)}"
            )
    if not columns:
        raise SourceError(f"{corrected[0].place}: found no column to copy; expected some of {', '.join(types)}")
    values = {name: _cast_column(corrected, name, types[name]) for name in columns}
    return [
        {**old, **{name: values[name][n] for name in columns if name in corrected[n].values}}
        for n, old in enumerate(before)
    ]


def _column_types(schema: pa.Schema) -> dict[str, str]:
    with memory() as connection:
        connection.register("empty", schema.empty_table())
        return {name: kind for name, kind, *_ in connection.execute("describe empty").fetchall()}


def _cast_column(corrected: Sequence[CorrectedRow], name: str, kind: str) -> list[Any]:
    given = [row.values.get(name) for row in corrected]
    query = f"select {_cast(kind)} from unnest(cast(? as varchar[])) as t(given)"
    with memory() as connection:
        values = [value for (value,) in connection.execute(query, [given]).fetchall()]
    for row, text, value in zip(corrected, given, values, strict=True):
        if text is not None and value is None:  # try_cast turns what does not fit into a null
            raise SourceError(f"{row.place}: {name}: found {quoted(text)}, expected {kind}")
    return values


def _cast(kind: str) -> str:
    """SQL that turns a given text into a landed type; times with an offset become UTC, as they do in files."""
    if kind == "TIMESTAMP":
        time = "try_cast(given as timestamptz)"
        # 'infinity' is a time to DuckDB.
        return f"case when isfinite({time}) then {time} at time zone 'UTC' end"
    return f"try_cast(given as {kind})"


def landed_schema(home: Home, source: str, table: str) -> pa.Schema:
    """Read the column types of a landed table from its newest partition."""
    import pyarrow.parquet as pq

    last = read_manifests(home, source, [table], None, date.max)[-1]
    return pq.read_schema(last.path)
