"""What differs between two runs of the same day in two homes: which table or file, which column, how many rows.

A file whose bytes are the same is the same. Where they differ, tables are compared row by row on their keys, so that
a difference has a name: `feat_users.region: 3 of 40 rows, e.g. user_id=u1: 'BR' -> 'DE'`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.spec.feature_catalog import KEYS, MARTS
from tasks.store.files import read_json, sha256_file
from tasks.store.sql import identifier, literal, literals, render

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SQL = Path(__file__).parent / "sql"
TABLES: dict[str, tuple[str, ...]] = {mart: ("as_of", *KEYS[entity]) for mart, entity in MARTS.items()}
TABLES["labels"] = ("cut", "user_id", "item_id", "impression_id")
"""The tables that examples are made from, with their keys; the first one is the day that a row is of."""
FILE_KEYS: dict[str, tuple[str, ...]] = {
    "candidates": ("cut", "example_id"), "train": ("cut", "example_id"), "validation": ("cut", "example_id"),
    "test": ("cut", "example_id"), "refit": ("cut", "example_id"), "truth": ("cut", "group_id", "item_id"),
    "catalogue": ("item_id",), "user": KEYS["user"], "item": KEYS["item"],
    "user_item": KEYS["user_item"], "user_category": KEYS["user_category"],
}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """Something that is not the same.

    Attributes:
        place: table and column, or file and what in it.
        count: how many of `of` rows (values, lines) differ.
        of: how many there are.
        example: one of them.
    """

    place: str
    count: int
    of: int
    example: str

    def __str__(self) -> str:
        return f"{self.place}: {self.count:,} of {self.of:,}, e.g. {self.example}"


def rows_of_days(table: str, days: Sequence[date]) -> str:
    """Query the rows of some days, which both sides have built, of a table in `TABLES`."""
    return f"select * from {table} where {TABLES[table][0]} in ({literals(days)})"


def table_differences(connection: DuckDBPyConnection, table: str, ours: Path, theirs: Path) -> list[Difference]:
    """Compare the rows of a table.

    Args:
        connection: any database.
        table: one of `TABLES`.
        ours: parquet file with one side's rows.
        theirs: the other's.
    """
    one, other = (f"read_parquet({literal(str(path))})" for path in (ours, theirs))
    return relation_differences(connection, one, other, TABLES[table], f"{table}.")


def relation_differences(
    connection: DuckDBPyConnection, ours: str, theirs: str, keys: Sequence[str], prefix: str
) -> list[Difference]:
    """Compare two relations by their keys; rows that are in one only count as one difference.

    Args:
        connection: can read both.
        ours: a relation, as SQL has it after `from`.
        theirs: the other.
        keys: columns that tell rows apart; rows with the same keys are told apart by their order.
        prefix: goes before a column's name in the place.
    """
    columns = _columns(connection, ours)
    if columns != (others := _columns(connection, theirs)):
        odd = ", ".join(sorted(set(columns) ^ set(others))) or "their order"
        return [Difference(f"{prefix}columns", len(set(columns) ^ set(others)) or 1, len(columns), odd)]
    # The join below is only needed to say what differs.
    if _digest(connection, ours, columns) == _digest(connection, theirs, columns):
        return []
    _join(connection, ours, theirs, keys, columns)
    (total,) = _first(connection, f"select greatest((select count(*) from {ours}), (select count(*) from {theirs}))")
    values = [name for name in columns if name not in keys]
    unequal = (_unequal(connection, keys, name, total, prefix) for name in values)
    return [difference for difference in (_lonely(connection, keys, total, prefix), *unequal) if difference is not None]


def _columns(connection: DuckDBPyConnection, relation: str) -> list[str]:
    return [str(row[0]) for row in connection.execute(f"describe select * from {relation}").fetchall()]


def _digest(connection: DuckDBPyConnection, relation: str, columns: Sequence[str]) -> tuple[Any, ...]:
    """Count the rows and sum their hashes: the same for the same rows in any order."""
    hashed = f"sum(cast(hash({', '.join(map(identifier, columns))}) as hugeint))"
    return _first(connection, f"select count(*), {hashed} from {relation}")


def _first(connection: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(query).fetchall()[0]
    return row


def _join(
    connection: DuckDBPyConnection, ours: str, theirs: str, keys: Sequence[str], columns: Sequence[str]
) -> None:  # fmt: skip
    """Make the table `differing`: keys, and the values of both sides, of the rows that are not the same."""
    names = ", ".join(map(identifier, keys))
    copies = f"row_number() over (partition by {names} order by {', '.join(map(identifier, columns))}) as _copy"

    def numbered(relation: str) -> str:
        return f"select *, {copies} from {relation}"

    query = render(SQL, "differing", keys=keys, columns=columns, ours=ours, theirs=theirs, numbered=numbered)
    connection.execute(f"create or replace temp table differing as {query}")


def _lonely(connection: DuckDBPyConnection, keys: Sequence[str], total: int, prefix: str) -> Difference | None:
    one_sided = "from differing where not (in_ours and in_theirs)"
    (count,) = _first(connection, f"select count(*) {one_sided}")
    if not count:
        return None
    names = ", ".join(map(identifier, keys))
    # Ordered by key, so that a repeated proof names the same row.
    row = _first(connection, f"select in_ours, {names} {one_sided} order by {names} limit 1")
    where = "only in the original" if row[0] else "not in the original"
    return Difference(f"{prefix}rows", count, total, f"{_key(keys, row[1:])} is {where}")


def _unequal(
    connection: DuckDBPyConnection, keys: Sequence[str], column: str, total: int, prefix: str
) -> Difference | None:  # fmt: skip
    ours, theirs = identifier(f"ours_{column}"), identifier(f"theirs_{column}")
    # `<>` would miss a value that became NULL.
    both = f"from differing where in_ours and in_theirs and {ours} is distinct from {theirs}"
    (count,) = _first(connection, f"select count(*) {both}")
    if not count:
        return None
    names = ", ".join(map(identifier, keys))
    row = _first(connection, f"select {ours}, {theirs}, {names} {both} order by {names} limit 1")
    return Difference(f"{prefix}{column}", count, total, f"{_key(keys, row[2:])}: {row[0]!r} -> {row[1]!r}")


def _key(keys: Sequence[str], values: Sequence[Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))


def file_differences(
    connection: DuckDBPyConnection, ours: Mapping[str, Path], theirs: Mapping[str, Path], *, bytewise: bool = False
) -> list[Difference]:
    """Compare files by name.

    Args:
        connection: an in-memory database.
        ours: files by the name that differences are to give them.
        theirs: the other run's.
        bytewise: parquet files with the same rows in other bytes are different, too.
    """
    differences = [
        Difference(name, 1, 1, "only in the original" if name in ours else "not in the original")
        for name in sorted(ours.keys() ^ theirs.keys())
    ]
    # Digests first, so that only files that differ are read.
    for name in (name for name in ours if name in theirs and sha256_file(ours[name]) != sha256_file(theirs[name])):
        inside = _inside(connection, name, ours[name], theirs[name])
        other_bytes = Difference(name, 1, 1, "other bytes, the same contents")
        differences += inside or ([other_bytes] if bytewise or ours[name].suffix != ".parquet" else [])
    return differences


def _inside(connection: DuckDBPyConnection, name: str, ours: Path, theirs: Path) -> list[Difference]:
    if ours.suffix == ".parquet":
        # Without known keys, rows are matched by their position in the file.
        keys = FILE_KEYS.get(ours.stem, ("file_row_number",))
        numbered = ", file_row_number = true" if keys == ("file_row_number",) else ""
        left, right = (f"read_parquet({literal(str(path))}{numbered})" for path in (ours, theirs))
        return relation_differences(connection, left, right, keys, f"{name}:")
    if ours.suffix == ".npz":
        return _array_differences(f"{name}:", ours, theirs)
    read = _leaves if ours.suffix == ".json" else _lines
    one, other = read(ours), read(theirs)
    changed = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    if not changed:
        return []
    example = f"{changed[0]}: {_short(one.get(changed[0]))} -> {_short(other.get(changed[0]))}"
    return [Difference(name, len(changed), len(one.keys() | other.keys()), example)]


def _lines(path: Path) -> dict[str, Any]:
    return {f"line {n}": line for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)}


def _leaves(path: Path) -> dict[str, Any]:
    """Map the values of a JSON file by their paths (`records.3.value`)."""

    def walk(value: Any, place: str) -> Iterable[tuple[str, Any]]:
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
        if inner is None:
            yield place, value
        else:
            for key, below in inner:
                yield from walk(below, f"{place}.{key}" if place else str(key))

    return dict(walk(read_json(path), ""))


def _array_differences(prefix: str, ours: Path, theirs: Path) -> list[Difference]:
    import numpy as np

    differences = []
    with np.load(ours, allow_pickle=False) as one, np.load(theirs, allow_pickle=False) as other:
        # An array on one side only has nothing to be compared with, but is a difference too.
        for name in sorted(set(one.files) ^ set(other.files)):
            where = "only in the original" if name in one.files else "not in the original"
            differences.append(Difference(prefix + name, 1, 1, where))
        for name in (name for name in one.files if name in other.files):
            left, right = one[name], other[name]
            if left.shape != right.shape:
                differences.append(Difference(prefix + name, 1, 1, f"shape {left.shape} -> {right.shape}"))
            elif (unequal := np.argwhere(left != right)).size:
                first = tuple(unequal[0])
                example = f"{list(map(int, first))}: {left[first]} -> {right[first]}"
                differences.append(Difference(prefix + name, len(unequal), left.size, example))
    return differences


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
