"""Parquet files: the same rules as for text, and columns of other types refused in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import SourceError
from tasks.sources.files.parquet_files import read_parquet
from tasks.sources.layout import ColumnType, Dialect, Layout
from tasks.store.database import connect


def read(
    path: Path, values: pa.Array, kind: ColumnType, dialect: Dialect | None = None
) -> tuple[list[Any], list[tuple[int, str]]]:
    pq.write_table(pa.table({"A": values}), path)
    with connect(":memory:") as connection:
        rows, rejects = read_parquet(path, Layout(("A",), ("a",), (kind,), dialect or Dialect()), connection)
    return rows["a"].to_pylist(), [(one.line, one.error) for one in rejects]


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        (pa.array(["a", None, "a"]).dictionary_encode(), "VARCHAR", ["a", None, "a"]),
        (pa.array([1, None], pa.uint8()), "VARCHAR", ["1", None]),
        (pa.array([["a", "b"], None]), "VARCHAR", ['["a","b"]', None]),
        (pa.array([Decimal("1.50"), Decimal("-2.25")]), "DOUBLE", [1.5, -2.25]),
        (pa.array([0.1, 1e300], pa.float64()), "DOUBLE", [0.1, 1e300]),
        (pa.array([0.1], pa.float32()), "DOUBLE", [0.10000000149011612]),
        (pa.array([2**63 - 1]), "BIGINT", [2**63 - 1]),
        (pa.array([3.0]), "INTEGER", [3]),
        (pa.array([date(2026, 1, 2)]), "DATE", [date(2026, 1, 2)]),
        (pa.array([True, False]), "BOOLEAN", [True, False]),
    ],
)
def test_values_are_taken_exactly(tmp_path: Path, values: pa.Array, kind: ColumnType, found: list[Any]) -> None:
    assert read(tmp_path / "a.parquet", values, kind) == (found, [])


def test_times_with_a_zone_are_brought_to_utc(tmp_path: Path) -> None:
    noon = datetime(2026, 3, 29, 12, tzinfo=timezone(timedelta(hours=2)))
    for zone, unit in (("Europe/Berlin", "us"), ("UTC", "ns"), ("America/New_York", "ms")):
        rows, rejects = read(tmp_path / "a.parquet", pa.array([noon], pa.timestamp(unit, zone)), "TIMESTAMP")
        assert ([value.replace(tzinfo=UTC) for value in rows], rejects) == ([noon], [])


@pytest.mark.parametrize(
    ("values", "kind", "error"),
    [
        (pa.array([1.0, 1.5]), "INTEGER", "Found '1.5', expected a whole number"),
        (pa.array([1, 2**40]), "INTEGER", "Found '1099511627776', expected a whole number"),
        (pa.array([1.0, float("nan")]), "DOUBLE", "Found 'nan', expected a finite number."),
        (pa.array(["1", "one"]), "BIGINT", "Found 'one', expected a whole number"),
        (pa.array([Decimal("1.00"), Decimal("1.25")]), "INTEGER", "Found '1.25', expected a whole number"),
    ],
)
def test_a_value_that_is_none_of_the_declared_type_rejects_its_row(
    tmp_path: Path, values: pa.Array, kind: ColumnType, error: str
) -> None:
    rows, ((line, why),) = read(tmp_path / "a.parquet", values, kind)
    assert (len(rows), line) == (1, 2)
    assert why.startswith(error)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (pa.array([1.5]), "VARCHAR", "column A: found double, expected VARCHAR as is declared"),
        (pa.array([1]), "TIMESTAMP", "column A: found int64, expected TIMESTAMP as is declared"),
        (pa.array([b"x"]), "VARCHAR", "column A: found binary, expected VARCHAR as is declared"),
    ],
)
def test_a_day_whose_column_has_another_type_is_an_error_in_words(
    tmp_path: Path, values: pa.Array, kind: ColumnType, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        read(tmp_path / "a.parquet", values, kind)


def test_other_columns_are_refused_unless_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"B": [1], "A": [2]}), path)
    with connect(":memory:") as connection:
        with pytest.raises(SourceError, match=r"has other columns than .* \(1 more are not declared"):
            read_parquet(path, Layout(("A",), ("a",), ("INTEGER",)), connection)
        with pytest.raises(SourceError, match=r"missing: C; 2 more are not"):
            read_parquet(path, Layout(("C",), ("c",), ("INTEGER",)), connection)
        rows, _ = read_parquet(path, Layout(("A",), ("a",), ("INTEGER",), Dialect(others="ignore")), connection)
    assert rows.to_pylist() == [{"a": 2, "line_number": 1}]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100)])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with connect(":memory:") as connection, pytest.raises(SourceError, match=r"a.parquet: cannot be read as parquet"):
        read_parquet(path, Layout(("A",), ("a",), ("INTEGER",)), connection)
