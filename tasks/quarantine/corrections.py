"""Mends: the landed row that each refused one was, and what it is mended to, in the landing's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from tasks.errors import LandingError, SourceError
from tasks.quarantine.corrected_lines import RAW, read_lines
from tasks.quarantine.corrected_rows import DESCRIBING, Mended
from tasks.quarantine.rejected_rows import UNPARSEABLE, Row
from tasks.quarantine.revalidate import texts
from tasks.sources.csv_files import LINE_NUMBER
from tasks.sources.released_rows import REJECTS, releases_of
from tasks.spec.yaml_lines import nearest
from tasks.store.database import memory
from tasks.store.files import Home
from tasks.store.partitions import partition_dir, read_manifest, read_manifests

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.spec import Spec

Part = tuple[str, date]
"""Table and day."""


@dataclass(frozen=True)
class Correction:
    """A row to be put in the landing.

    `before` is the landed row that it replaces; None for a line that could not be read.
    """

    row: Row
    ds: date
    before: dict[str, Any] | None
    after: dict[str, Any]


@dataclass(frozen=True)
class Mends:
    """What becomes of mended rows, before staging judges them.

    Attributes:
        ready: what is to be put in the landing.
        unmended: rows that say what they said, and lines that cannot be read still; and why they are refused.
        released: rows that are not in the landing any more, because a release mended them; and its name.
    """

    ready: list[Correction] = field(default_factory=list)
    unmended: list[tuple[Row, str]] = field(default_factory=list)
    released: list[tuple[Row, str]] = field(default_factory=list)


def mends_of(spec: Spec, home: Home, pairs: Sequence[tuple[Row, Mended]]) -> Mends:
    """Find the landed row of each refused one.

    Raises:
        SourceError: a mended row has other columns, or a value that its column cannot hold.
        LandingError: a refused row is not in the landing any more, and was not released.
    """
    found = Mends()
    by_part: dict[tuple[str, Part], list[tuple[Row, Mended]]] = {}
    for row, one in pairs:
        table = REJECTS if row.rule == UNPARSEABLE else row.table
        by_part.setdefault((table, (row.table, row.ds)), []).append((row, one))
    before = {one.name: one.ids for one in releases_of(home, spec.source_name)}
    for (table, part), some in by_part.items():
        landed = _landed(home, spec.source_name, table, part[1])
        places = _places(landed, [row for row, _ in some])
        lost = [row for row, _ in some if row.id not in places]
        names = {row.id: next((name for name, ids in before.items() if row.id in ids), None) for row in lost}
        found.released.extend((row, name) for row in lost if (name := names[row.id]) is not None)
        if unknown := [row for row in lost if names[row.id] is None]:
            raise LandingError(
                f"{part[0]} of {part[1]}: {len(unknown)} refused rows, the first is {unknown[0].id}, are not in the "
                "landing as they were refused: the day was landed again since; run `matinee check … --what features` "
                "of the day, and show them again"
            )
        here = [(row, one) for row, one in some if row.id in places]
        _mend(spec, home, landed, places, here, found)
    return found


def _mend(
    spec: Spec,
    home: Home,
    landed: pa.Table,
    places: Mapping[str, int],
    pairs: Sequence[tuple[Row, Mended]],
    found: Mends,
) -> None:
    """Add the mends of rows of one partition, or of lines of one table."""
    if not pairs:
        return
    if pairs[0][0].rule == UNPARSEABLE:
        lines, unread = read_lines(spec, pairs)
        found.unmended.extend(unread)
        for row, ds, mended in lines:
            if read_manifest(partition_dir(home, spec.source_name, row.table, ds)) is None:
                found.unmended.append((row, f"It belongs to {ds}, which is not landed."))
            else:
                found.ready.append(Correction(row, ds, None, mended))
        return
    before = landed.take([places[row.id] for row, _ in pairs]).to_pylist()
    after = _typed(landed.schema, before, [one for _, one in pairs])
    for (row, _), old, new in zip(pairs, before, after, strict=True):
        if old == new:
            found.unmended.append((row, row.rule))
        else:
            found.ready.append(Correction(row, row.ds, old, new))


def _landed(home: Home, source: str, table: str, day: date) -> pa.Table:
    import pyarrow.parquet as pq

    (part,) = read_manifests(home, source, [table], day, day)
    return pq.read_table(part.path)


def _places(landed: pa.Table, rows: Sequence[Row]) -> dict[str, int]:
    """Return where refused rows lie in their partition, those that are there; of equal ones the last."""
    at: dict[str, list[int]] = {}
    for place, text in enumerate(texts(landed, rows[0].text)):
        at.setdefault(text, []).append(place)
    return {row.id: at[row.text].pop() for row in rows if at.get(row.text)}


def _typed(schema: pa.Schema, before: Sequence[dict[str, Any]], mended: Sequence[Mended]) -> list[dict[str, Any]]:
    """Return the mended rows with the landing's types; what a file does not say stays as it is."""
    with memory() as connection:
        connection.register("empty", schema.empty_table())
        kinds = {name: kind for name, kind, *_ in connection.execute("describe empty").fetchall()}
    own = [name for name in mended[0].values if name in kinds and name != LINE_NUMBER]
    for one in mended:
        if unknown := [name for name in one.values if name not in kinds and name not in {*DESCRIBING, RAW}]:
            raise SourceError(
                f"{one.place}: unknown column {unknown[0]!r}; expected some of {', '.join(kinds)}"
                f"{nearest(unknown[0], kinds)}"
            )
    if not own:
        raise SourceError(f"{mended[0].place}: found no column to take over; expected some of {', '.join(kinds)}")
    values: dict[str, list[Any]] = {}
    with memory() as connection:
        for name in own:
            given = [one.values.get(name) for one in mended]
            query = f"select {_cast(kinds[name])} from unnest(cast(? as varchar[])) as t(given)"
            values[name] = [value for (value,) in connection.execute(query, [given]).fetchall()]
            for one, text, value in zip(mended, given, values[name], strict=True):
                if text is not None and value is None:
                    raise SourceError(f"{one.place}: {name}: found {text!r}, expected {kinds[name]}")
    return [
        {**old, **{name: values[name][n] for name in own if name in mended[n].values}} for n, old in enumerate(before)
    ]


def _cast(kind: str) -> str:
    """Return the SQL of a given text as a landed type: times with an offset are brought to UTC, as in files."""
    if kind == "TIMESTAMP":
        time = "try_cast(given as timestamptz)"
        return f"case when isfinite({time}) then {time} at time zone 'UTC' end"
    return f"try_cast(given as {kind})"


def landed_schema(home: Home, source: str, table: str) -> pa.Schema:
    """Return the types of a landed table."""
    import pyarrow.parquet as pq

    last = read_manifests(home, source, [table], None, date.max)[-1]
    return pq.read_schema(last.path)
