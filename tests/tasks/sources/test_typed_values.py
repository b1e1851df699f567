"""What is a value of a type, and what is refused: whatever a file says is read as it is, or not at all."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sources.files.csv_files import read_csv
from tasks.sources.layout import ColumnType, Dialect, Encoding, Layout
from tasks.sources.typed_values import typed_values
from tasks.store.database import connect


@pytest.fixture(scope="module")
def connection() -> Iterator[DuckDBPyConnection]:
    with connect(":memory:") as open_:
        yield open_


def read(
    connection: DuckDBPyConnection, kind: ColumnType, text: str, dialect: Dialect | None = None
) -> tuple[Any, str | None]:
    """Read one text as a type: its value, and what is wrong with it."""
    layout = Layout(("a",), ("a",), (kind,), dialect or Dialect())
    rows, problems = typed_values(pa.table({"a": pa.array([text], pa.string())}), layout, connection)
    return rows["a"][0].as_py(), problems[0][1] if problems else None


@pytest.mark.parametrize("kind", ["INTEGER", "BIGINT"])
@pytest.mark.parametrize(
    "text", ["1.5", "2.5", "0.4", "1_000", "0x1F", "1e3", ".5", "1,000", "nan", "inf", "", " ", "--1", "1 2", "١"]
)
def test_what_is_no_whole_number_is_refused(connection: DuckDBPyConnection, kind: ColumnType, text: str) -> None:
    value, problem = read(connection, kind, text)
    assert value is None
    assert problem is not None
    assert problem.startswith(f"Found {text!r}, expected a whole number from -")


@pytest.mark.parametrize(("text", "value"), [("7", 7), (" -7 ", -7), ("+7", 7), ("007", 7), ("7.0", 7), ("7.", 7)])
def test_a_whole_number_may_be_written_with_zeros_and_blanks(
    connection: DuckDBPyConnection, text: str, value: int
) -> None:
    assert read(connection, "INTEGER", text) == (value, None)


def test_whole_numbers_keep_all_their_digits_or_are_refused(connection: DuckDBPyConnection) -> None:
    assert read(connection, "BIGINT", "9007199254740993.0") == (9007199254740993, None)
    assert read(connection, "BIGINT", str(2**63 - 1)) == (2**63 - 1, None)
    assert read(connection, "BIGINT", str(2**63))[0] is None
    assert read(connection, "INTEGER", str(2**31))[0] is None


@pytest.mark.parametrize("text", ["NaN", "nan", "inf", "-Infinity", "1e400", "1_0.5", "0x1p3", "1.2.3", "1e", "€5"])
def test_what_is_no_finite_number_is_refused(connection: DuckDBPyConnection, text: str) -> None:
    assert read(connection, "DOUBLE", text)[1] == f"Found {text!r}, expected a finite number."


@pytest.mark.parametrize(
    ("text", "kind", "marks", "value"),
    [
        ("1.234.567,5", "DOUBLE", (",", "."), 1234567.5),
        ("1234567,5", "DOUBLE", (",", "."), 1234567.5),
        ("1,234", "INTEGER", (".", ","), 1234),
        ("1'234'567", "BIGINT", (".", "'"), 1234567),
        ("-1\u202f234,0", "INTEGER", (",", "\u202f"), -1234),
    ],
)
def test_declared_marks_stand_in_numbers(
    connection: DuckDBPyConnection, text: str, kind: ColumnType, marks: Any, value: float
) -> None:
    assert read(connection, kind, text, Dialect(decimal=marks[0], thousands=marks[1])) == (value, None)


@pytest.mark.parametrize("text", ["1.23", "12.34.567", "1.2345", "1..234", ".123", "1,234.5"])
def test_groups_that_are_not_of_three_digits_are_refused(connection: DuckDBPyConnection, text: str) -> None:
    """1.23 with a point for thousands is no 123."""
    assert read(connection, "DOUBLE", text, Dialect(decimal=",", thousands="."))[0] is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("TIMESTAMP", "30/01/26 08:15"), ("TIMESTAMP", "04/03/11 10:11"), ("TIMESTAMP", "0030-01-26 08:15"),
        ("TIMESTAMP", "2026-01-30 24:00:00"), ("TIMESTAMP", "2026-01-30 23:59:60"), ("TIMESTAMP", "epoch"),
        ("TIMESTAMP", "infinity"), ("TIMESTAMP", "2026-1-3"), ("TIMESTAMP", "1317081599.7"), ("DATE", "26-01-30"),
        ("DATE", "2026-01-30 08:15"), ("DATE", "9999-12-31"), ("DATE", "2026-02-29"),
    ],
)  # fmt: skip
def test_what_is_no_day_is_refused(connection: DuckDBPyConnection, kind: ColumnType, text: str) -> None:
    value, problem = read(connection, kind, text)
    assert problem is not None, value


def test_declared_formats_are_tried_in_their_order(connection: DuckDBPyConnection) -> None:
    dialect = Dialect(timestamps=("%d/%m/%Y %H:%M", "iso"), dates=("%d.%m.%y", "%Y%m%d"))
    assert read(connection, "TIMESTAMP", "04/03/2011 10:11", dialect)[0] == datetime(2011, 3, 4, 10, 11)  # noqa: DTZ001
    assert read(connection, "TIMESTAMP", "2011-03-04T10:11+02:00", dialect)[0] == datetime(2011, 3, 4, 8, 11)  # noqa: DTZ001
    assert read(connection, "TIMESTAMP", "04/03/11 10:11", dialect)[1] == (
        "Found '04/03/11 10:11', expected a time from the year 1000 to 2999, written as %d/%m/%Y %H:%M or YYYY-MM-DD…."
    )
    assert read(connection, "DATE", "04.03.11", dialect)[0] == date(2011, 3, 4), "two digits, because it says so"
    assert read(connection, "DATE", "20110304", dialect)[0] == date(2011, 3, 4)
    assert read(connection, "DATE", "2011-03-04", dialect)[0] is None


@pytest.mark.parametrize(("text", "value"), [("true", True), ("T", True), ("0", False), ("No", False), ("2", None)])
def test_booleans(connection: DuckDBPyConnection, text: str, value: bool | None) -> None:
    assert read(connection, "BOOLEAN", text)[0] is value


def test_texts_are_taken_as_they_are(connection: DuckDBPyConnection) -> None:
    for text in ("NULL", "N/A", "nan", " a ", "1.0", "é\u202e"):
        assert read(connection, "VARCHAR", text) == (text, None)


def test_a_row_names_the_first_of_its_faults_and_leaves_the_others_alone(connection: DuckDBPyConnection) -> None:
    layout = Layout(("a", "b"), ("a", "b"), ("INTEGER", "DOUBLE"))
    texts = pa.table({"a": ["1", "x", None, "4"], "b": ["1", "y", None, "z"]})
    rows, problems = typed_values(texts, layout, connection)
    assert [problems[row][0] for row in (1, 3)] == ["a", "b"]
    assert sorted(problems) == [1, 3]
    assert rows.to_pylist()[0] == {"a": 1, "b": 1.0}
    assert rows.to_pylist()[2] == {"a": None, "b": None}


# ------------------------------------------------------------------------------ equal or refused, in any dialect

TYPES: tuple[ColumnType, ...] = ("VARCHAR", "BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP")
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "VARCHAR": st.text(max_size=8).filter(lambda text: text.isprintable()) | st.sampled_from(
        ["a,b", 'say "hi"', "two\nlines", "NULL", " padded ", "x;y|z\tw", "é", "'"]
    ),
    "BOOLEAN": st.booleans(),
    "INTEGER": st.integers(-(2**31), 2**31 - 1),
    "BIGINT": st.integers(-(2**63), 2**63 - 1),
    "DOUBLE": st.floats(allow_nan=False, allow_infinity=False),
    "DATE": st.dates(date(1000, 1, 1), date(2999, 12, 31)),
    "TIMESTAMP": st.datetimes(datetime(1000, 1, 1), datetime(2999, 12, 31)),  # noqa: DTZ001
}  # fmt: skip
MARKS: tuple[tuple[str, str | None], ...] = ((".", None), (".", ","), (",", "."), (",", None), (".", "'"))
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "cp1252", "latin-1")


@st.composite
def dialects(draw: st.DrawFn) -> Dialect:
    decimal, thousands = draw(st.sampled_from(MARKS))
    return Dialect.model_validate({
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "quote": draw(st.sampled_from(['"', "'"])),
        "encoding": draw(st.sampled_from(ENCODINGS)),
        "header": draw(st.booleans()),
        "decimal": decimal,
        "thousands": thousands,
        "null_values": draw(st.sampled_from([("",), ("", "NULL"), ("", "\\N")])),
        "timestamps": draw(st.sampled_from([("iso",), ("%d/%m/%Y %H:%M:%S.%f",)])),
        "dates": draw(st.sampled_from([("iso",), ("%d.%m.%Y",)])),
    })  # fmt: skip


def written(value: Any, dialect: Dialect) -> str:
    """Write a value as a program of that country would."""
    if value is None:
        return dialect.null_values[-1]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        text = f"{value:,}" if isinstance(value, int) else f"{Decimal(repr(value)):,f}"
        marks = {",": dialect.thousands or "", ".": dialect.decimal}
        return "".join(marks.get(character, character) for character in text)
    if isinstance(value, datetime):
        form = dialect.timestamps[0]
        return f"{value.year:04d}{value:-%m-%dT%H:%M:%S.%f}" if form == "iso" else (
            f"{value:%d/%m/}{value.year:04d}{value: %H:%M:%S.%f}"
        )  # fmt: skip
    if isinstance(value, date):
        return value.isoformat() if dialect.dates[0] == "iso" else f"{value:%d.%m.}{value.year:04d}"
    return str(value)


@given(st.data(), dialects(), st.lists(st.sampled_from(TYPES), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_whatever_is_written_is_read_back_equal_or_refused(
    data: st.DataObject, dialect: Dialect, types: list[ColumnType]
) -> None:
    """Never another value, never a row too many or too few."""
    row = st.tuples(*(st.none() | VALUES[kind] for kind in types))
    rows = data.draw(st.lists(row, max_size=6))
    names = tuple(f"c{number}" for number in range(len(types)))
    layout = Layout(names, names, tuple(types), dialect)
    with TemporaryDirectory() as folder, connect(":memory:") as connection:
        path = Path(folder) / "a.csv"
        with path.open("w", encoding=dialect.encoding, errors="replace", newline="") as stream:
            ends = data.draw(st.sampled_from(["\n", "\r\n"]))
            writer = csv.writer(stream, delimiter=dialect.delimiter, quotechar=dialect.quote, lineterminator=ends)
            writer.writerows([names] if dialect.header else [])
            writer.writerows([[written(value, dialect) for value in one] for one in rows])
        found, rejects = read_csv(path, layout, connection)
    assert found.num_rows + len(rejects) == len(rows)
    originals = iter(rows)
    for values in found.drop_columns(["line_number"]).to_pylist():
        # In the file's order, with some left out.
        assert any(_equal(tuple(values.values()), one, dialect) for one in originals), (values, rows)
    if dialect.encoding.startswith("utf") and "VARCHAR" not in types:
        assert not rejects, "what can be written is refused only where it cannot be told apart"


def _equal(found: tuple[Any, ...], one: tuple[Any, ...], dialect: Dialect) -> bool:
    return all(_same(a, b, dialect) for a, b in zip(found, one, strict=True))


def _same(found: Any, value: Any, dialect: Dialect) -> bool:
    if isinstance(value, str):
        # What the encoding lacks was written as a question mark.
        value = value.encode(dialect.encoding, "replace").decode(dialect.encoding)
        return found == value or (found is None and value in dialect.null_values)
    if isinstance(value, float) and found is not None:
        return math.isclose(found, value, rel_tol=0, abs_tol=0)
    return bool(found == value)
