"""Differences have names: the table or file, the column, how many rows, and one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.npz import save_arrays
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.proof.differences import (
    Difference,
    file_differences,
    relation_differences,
    rows_of_days,
    table_differences,
)
from tasks.store.files import write_json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAY = date(2026, 1, 2)
REGIONS = {"user_id": ["ana", "bo", "cy"], "region": ["BR", "DE", None]}


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def compared(
    connection: DuckDBPyConnection, ours: Mapping[str, list[Any]], theirs: Mapping[str, list[Any]]
) -> list[str]:
    for name, columns in (("ours", ours), ("theirs", theirs)):
        connection.register(name, pa.table(dict(columns)))
    return [str(found) for found in relation_differences(connection, "ours", "theirs", ("user_id",), "users.")]


def test_the_same_rows_in_another_order_are_the_same(connection: DuckDBPyConnection) -> None:
    assert compared(connection, REGIONS, {"user_id": ["cy", "ana", "bo"], "region": [None, "BR", "DE"]}) == []


def test_a_column_that_differs_is_named_with_its_rows_and_one_of_them(connection: DuckDBPyConnection) -> None:
    found = compared(connection, REGIONS, {**REGIONS, "region": ["BR", "FR", "FR"]})
    assert found == ["users.region: 2 of 3, e.g. user_id=bo: 'DE' -> 'FR'"]


def test_rows_in_one_only_are_counted_apart(connection: DuckDBPyConnection) -> None:
    assert compared(connection, REGIONS, {"user_id": ["ana"], "region": ["BR"]}) == [
        "users.rows: 2 of 3, e.g. user_id=bo is only in the original"
    ]
    assert compared(connection, {"user_id": ["bo"], "region": ["DE"]}, REGIONS) == [
        "users.rows: 2 of 3, e.g. user_id=ana is not in the original"
    ]


def test_a_row_too_many_is_a_difference(connection: DuckDBPyConnection) -> None:
    twice = {"user_id": ["ana", "bo", "cy", "cy"], "region": ["BR", "DE", None, None]}
    assert compared(connection, REGIONS, twice) == ["users.rows: 1 of 4, e.g. user_id=cy is not in the original"]


def test_other_columns_are_named(connection: DuckDBPyConnection) -> None:
    found = compared(connection, REGIONS, {"user_id": REGIONS["user_id"], "plan": ["a", "b", "c"]})
    assert found == ["users.columns: 2 of 2, e.g. plan, region"]


def test_only_the_days_that_both_have_count(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    later = date(2026, 1, 3)

    def differences(days: list[date]) -> list[Difference]:
        paths = {"ours": tmp_path / "ours.parquet", "theirs": tmp_path / "theirs.parquet"}
        for side, grade in (("ours", 2), ("theirs", 0)):
            with duckdb.connect() as other:
                columns = "user_id varchar, item_id varchar, impression_id varchar, cut date, grade integer"
                other.execute(f"create table labels ({columns})")
                # The film was shown twice on the later day: of an action that labels one, only that one's differs.
                for impression, cut, value in (("", DAY, 1), ("noon", later, grade), ("night", later, 1)):
                    row = ["ana", "film", impression, cut, value]
                    other.execute("insert into labels values (?, ?, ?, ?, ?)", row)
                DuckDBTables(other).write(rows_of_days("labels", days), paths[side])
        return table_differences(connection, "labels", paths["ours"], paths["theirs"])

    assert differences([DAY]) == []
    assert differences([DAY, later]) == [
        Difference("labels.grade", 1, 3, "cut=2026-01-03 user_id=ana item_id=film impression_id=noon: 2 -> 0")
    ]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made = (tmp_path / "ours", tmp_path / "theirs")
    for folder in made:
        folder.mkdir()
    return made


def in_files(connection: DuckDBPyConnection, folders: tuple[Path, Path], *, bytewise: bool = False) -> list[str]:
    ours, theirs = ({path.name: path for path in sorted(folder.iterdir())} for folder in folders)
    return [str(found) for found in file_differences(connection, ours, theirs, bytewise=bytewise)]


def test_examples_are_compared_by_their_ids(connection: DuckDBPyConnection, folders: tuple[Path, Path]) -> None:
    for folder, grades in zip(folders, ([0, 1], [2, 1]), strict=True):
        pq.write_table(
            pa.table({"example_id": ["e1", "e2"], "cut": [DAY, DAY], "grade": grades}), folder / "train.parquet"
        )
    assert in_files(connection, folders) == ["train.parquet:grade: 1 of 2, e.g. cut=2026-01-02 example_id=e1: 0 -> 2"]


def test_rows_without_a_key_are_compared_by_their_number(
    connection: DuckDBPyConnection, folders: tuple[Path, Path]
) -> None:  # fmt: skip
    for folder, values in zip(folders, ([0.5, 0.5], [0.5, 0.25]), strict=True):
        pq.write_table(pa.table({"user_id": ["ana", "ana"], "mrr of model": values}), folder / "groups.parquet")
    assert in_files(connection, folders) == ["groups.parquet:mrr of model: 1 of 2, e.g. file_row_number=1: 0.5 -> 0.25"]


def test_the_same_rows_in_other_bytes_count_where_bytes_do(
    connection: DuckDBPyConnection, folders: tuple[Path, Path]
) -> None:  # fmt: skip
    for folder, compression in zip(folders, ("zstd", "none"), strict=True):
        pq.write_table(pa.table({"item_id": ["film"]}), folder / "catalogue.parquet", compression=compression)
    assert in_files(connection, folders) == []
    assert in_files(connection, folders, bytewise=True) == [
        "catalogue.parquet: 1 of 1, e.g. other bytes, the same contents"
    ]


def test_arrays_are_named(connection: DuckDBPyConnection, folders: tuple[Path, Path]) -> None:
    for folder, factors in zip(folders, (np.zeros((2, 2)), np.asarray([[0.0, 0.0], [0.5, 0.0]])), strict=True):
        save_arrays(folder / "als.npz", item_factors=factors, item_ids=np.asarray(["a", "b"]))
    assert in_files(connection, folders) == ["als.npz:item_factors: 1 of 4, e.g. [1, 0]: 0.0 -> 0.5"]
    save_arrays(folders[1] / "als.npz", item_factors=np.zeros((2, 2)), item_ids=np.asarray(["a"]))
    assert in_files(connection, folders) == ["als.npz:item_ids: 1 of 1, e.g. shape (2,) -> (1,)"]


def test_an_array_of_one_side_only_is_named(connection: DuckDBPyConnection, folders: tuple[Path, Path]) -> None:
    for folder, names in zip(folders, (("kept", "old"), ("kept", "new")), strict=True):
        save_arrays(folder / "als.npz", **{name: np.zeros(2) for name in names})
    assert in_files(connection, folders) == [
        "als.npz:new: 1 of 1, e.g. not in the original",
        "als.npz:old: 1 of 1, e.g. only in the original",
    ]


def test_json_and_text_are_compared_value_by_value_and_line_by_line(
    connection: DuckDBPyConnection, folders: tuple[Path, Path]
) -> None:  # fmt: skip
    for folder, value in zip(folders, (0.5, 0.75), strict=True):
        write_json(folder / "records.json", [{"metric": "mrr", "value": value}])
        (folder / "trees.txt").write_text(f"tree\nleaf={value}\n")
    assert in_files(connection, folders) == [
        "records.json: 1 of 2, e.g. 0.value: 0.5 -> 0.75",
        "trees.txt: 1 of 2, e.g. line 2: 'leaf=0.5' -> 'leaf=0.75'",
    ]


def test_a_file_of_one_only_is_named(connection: DuckDBPyConnection, folders: tuple[Path, Path]) -> None:
    (folders[0] / "a.txt").write_text("")
    (folders[1] / "b.txt").write_text("")
    assert in_files(connection, folders) == [
        "a.txt: 1 of 1, e.g. only in the original", "b.txt: 1 of 1, e.g. not in the original",
    ]  # fmt: skip
