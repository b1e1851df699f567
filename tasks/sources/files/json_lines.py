"""Reading JSON lines: an object per line, its values as the texts that stand there.

Numbers keep their digits: none goes through a float on its way to the declared type. Lists and objects are their JSON
text, for staging models to take apart. A key that an object lacks, or has as null, is no value; keys of objects within
the object are named with dots: `user.id`.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError
from tasks.sources.layout import Layout
from tasks.sources.rejects import LINE_NUMBER, LONGEST_RAW, Judge, Problem, Reject
from tasks.sources.typed_values import typed_values

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_AT_A_TIME = 100_000
_LONGEST_LINE = 1_000_000
_BOM = b"\xef\xbb\xbf"


def read_json_lines(
    path: Path, layout: Layout, connection: DuckDBPyConnection, judge: Judge | None = None
) -> tuple[pa.Table, list[Reject]]:
    """Read a file of JSON lines.

    Args:
        path: UTF-8 text with an object per line.
        layout: its keys, as `header`, and what they become.
        connection: DuckDB to cast with, from `tasks.store.database.connect`.
        judge: finds further rows to reject.

    Returns:
        The declared columns and `line_number`, a row per readable line, in the file's order; and the others.

    Raises:
        SourceError: the file is absent, or objects have keys that are not declared.
    """
    import pyarrow as pa

    tables, rejects = list["pa.Table"](), list[Reject]()
    try:
        with path.open("rb") as stream:
            numbered = enumerate(stream, 1)
            # At least once, so that an empty file has its columns.
            while lines := list(islice(numbered, _AT_A_TIME)) or ([] if tables else [(0, b"")]):
                rows, refused = _read_lines(path, lines, layout, connection, judge)
                tables.append(rows)
                rejects += refused
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); expected JSON lines") from None
    return pa.concat_tables(tables), rejects


def _read_lines(
    path: Path, lines: list[tuple[int, bytes]], layout: Layout, connection: DuckDBPyConnection, judge: Judge | None
) -> tuple[pa.Table, list[Reject]]:
    import pyarrow as pa

    fields, numbers, problems = [], list[int](), dict[int, Problem]()
    for number, line in lines:
        if number == 0:
            continue  # the empty file's
        found = _object(line.removeprefix(_BOM) if number == 1 else line)
        if isinstance(found, str):
            problems[number] = (None, found)
            continue
        if layout.dialect.others == "refuse":
            _check_keys(path, number, found, layout)
        values = [_text(_value(found, key)) for key in layout.header]
        if (broken := next((place for place, text in enumerate(values) if _is_broken(text)), None)) is not None:
            problems[number] = (layout.names[broken], "The value holds half a surrogate pair, which is no character.")
            continue
        fields.append(values)
        numbers.append(number)
    columns = zip(*fields, strict=True) if fields else [()] * len(layout.names)
    nulls = set(layout.dialect.null_values)
    texts = pa.table({
        name: pa.array([None if text in nulls else text for text in column], pa.string())
        for name, column in zip(layout.names, columns, strict=True)
    })  # fmt: skip
    rows, wrong = typed_values(texts, layout, connection)
    problems |= {numbers[row]: problem for row, problem in wrong.items()}
    rows = rows.append_column(LINE_NUMBER, pa.array(numbers, pa.int64()))
    problems = (judge(rows) if judge else {}) | problems
    if problems:
        rows = rows.filter(pa.array([number not in problems for number in numbers], pa.bool_()))
    raw = {number: line for number, line in lines if number in problems}
    return rows, [Reject(n, *problems[n], _shown(raw[n])) for n in sorted(problems)]


def _shown(line: bytes) -> str:
    text = line.rstrip(b"\r\n")[:LONGEST_RAW].decode("utf-8", "backslashreplace")
    return text.replace("\0", r"\x00")


def _object(line: bytes) -> dict[str, Any] | str:
    """Parse a line; say what is wrong with it."""
    if not line.strip():
        return "The line is empty."
    if len(line) > _LONGEST_LINE:
        return f"The line has {len(line)} bytes, more than {_LONGEST_LINE}."
    try:
        found = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return f"The line is not UTF-8: byte {line[error.start]:#04x} at column {error.start + 1}."
    except json.JSONDecodeError as error:
        return f"The line is not JSON: {error.msg} at column {error.colno}."
    except (_TwiceError, RecursionError) as error:
        return f"The line's JSON is refused: {error}."
    return found if isinstance(found, dict) else "The line is no JSON object."


class _Number(str):
    """The digits of a number."""

    __slots__ = ()


class _TwiceError(ValueError):
    """A key stands twice in an object."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # JSON lets the last one win; which one was meant is not known.
    if len(found) < len(pairs):
        raise _TwiceError("a key stands twice in an object")
    return found


_DECODER = json.JSONDecoder(
    parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_pairs
)  # fmt: skip


def _check_keys(path: Path, number: int, found: dict[str, Any], layout: Layout) -> None:
    declared = {part for key in layout.header for part in (key, key.partition(".")[0])}
    if unknown := [place for place, key in enumerate(found, 1) if key not in declared]:
        raise SourceError(
            f"{path}: line {number}: {len(unknown)} of {len(found)} keys are not declared, the first of them in place "
            f"{unknown[0]}; expected {', '.join(layout.header)}; `dialect: {{others: ignore}}` leaves others out"
        )


def _value(found: dict[str, Any], key: str) -> Any:
    if key in found:
        return found[key]
    head, dot, rest = key.partition(".")
    inner = found.get(head) if dot else None
    return _value(inner, rest) if isinstance(inner, dict) else None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return _written(value)


def _is_broken(text: str | None) -> bool:
    return text is not None and not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _written(value: Any) -> str:
    """Write lists and objects as JSON, with the digits that their numbers have."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_written(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
