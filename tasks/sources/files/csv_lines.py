"""The records of a CSV file before their fields are looked at: which lines make one, and which make none.

A record is a line, or the lines of a field in quotes that holds line breaks (RFC 4180). A quote that is never closed
would swallow everything up to the next one: the lines that only look like a record are told apart here, and a record
that is none is refused with all its lines, so that no part of it passes for a row.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tasks.sources.layout import Layout
from tasks.sources.rejects import Problem

# Well below pyarrow's block of `csv_files`, so that this one decides.
LONGEST_RECORD = 1_000_000
_CHUNK = 1 << 20
BOM = b"\xef\xbb\xbf"
"""Excel's UTF-8 files begin with it."""


@dataclass
class Records:
    """The records of a file.

    Attributes:
        starts: first line of each readable record; line 1 is the header, or the first record where there is none.
        spans: number of lines of the records, readable or not, that have more than one, by first line.
        problems: why other records are none, by first line.
    """

    starts: list[int] = field(default_factory=list)
    spans: dict[int, int] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)


def scan(path: Path, layout: Layout, copy: Path) -> Records:
    """Find the records of a file below its header.

    Args:
        path: UTF-8 text.
        layout: what the file must look like.
        copy: file for the readable records, written only if the text cannot be parsed as it stands.
    """
    judge = _Judge(layout)
    found = Records()
    with path.open("rb") as stream, ExitStack() as opened:
        lines = _Lines(stream)
        begin, plain, readable = 0, True, None
        if layout.dialect.header:
            header = lines.take()
            plain, begin = not header.endswith(b"\r\n") and header != b"", lines.taken
            judge.see_header(without_bom(header, layout).rstrip(b"\r\n"))
        while True:
            number, end = lines.number + 1, lines.taken
            record = lines.take()
            if not record:
                return found
            if number == 1 and (unmarked := without_bom(record, layout)) != record:
                record, plain = unmarked, False
            record, problem = judge.record(record, lines)
            if lines.number > number:
                found.spans[number] = lines.number - number + 1
            plain = plain and not problem and b"\r" not in record
            if readable is None and not plain:
                # What came before is as it should be.
                readable = opened.enter_context(copy.open("wb"))
                _copy(path, begin, end, readable)
            if problem:
                found.problems[number] = (None, problem)
                continue
            found.starts.append(number)
            if readable is not None:
                readable.write(record.rstrip(b"\r\n") + b"\n")


def _copy(path: Path, begin: int, end: int, target: IO[bytes]) -> None:
    with path.open("rb") as stream:
        stream.seek(begin)
        while begin < end and (chunk := stream.read(min(_CHUNK, end - begin))):
            target.write(chunk)
            begin += len(chunk)


def without_bom(line: bytes, layout: Layout) -> bytes:
    """Leave out the byte order mark that a file begins with: before its first field, or within the quotes of it."""
    line = line.removeprefix(BOM)
    quote = (layout.dialect.quote or "").encode()
    # Of a program that quotes what it was given, mark and all.
    return quote + line.removeprefix(quote + BOM) if quote and line.startswith(quote + BOM) else line


class _Lines:
    """Lines of a stream that can be looked ahead at."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._ahead: deque[bytes] = deque()
        self._stream = stream
        self.number = 0
        self.taken = 0  # bytes

    def take(self) -> bytes:
        """Take the next line; empty at the end."""
        line = self._ahead.popleft() if self._ahead else self._stream.readline()
        self.number += bool(line)
        self.taken += len(line)
        return line

    def ahead(self) -> Iterator[bytes]:
        """Look at the lines after the last one taken."""
        yield from tuple(self._ahead)
        while line := self._stream.readline():
            self._ahead.append(line)
            yield line


class _Judge:
    """Tells whether lines are a record."""

    def __init__(self, layout: Layout) -> None:
        quote = layout.dialect.quote
        self.delimiter = layout.dialect.delimiter.encode()
        self.quote = quote.encode() if quote else None
        self.well_quoted = _well_quoted(layout.dialect.delimiter, quote) if quote else None
        self.header: bytes | None = None
        self._begins_header = frozenset[int]()
        blanks = {b" ", b"\t"} - {layout.dialect.delimiter.encode()}
        self._around_names = b"".join(sorted(blanks)) + (self.quote or b"")
        self._marks = (BOM, *([self.quote + BOM] if self.quote else []))

    def see_header(self, line: bytes) -> None:
        """Take the header, which makes no record in the middle of the file."""
        self.header = self.names(line)
        first = self.header[:1]
        self._begins_header = frozenset(self._around_names + first + first.upper())

    def names(self, line: bytes) -> bytes:
        """Leave out what makes no other header of a line: case, blanks and quotes around names."""
        return line.translate(None, self._around_names).lower()

    def record(self, line: bytes, lines: _Lines) -> tuple[bytes, str | None]:
        """Complete a record that begins with a line; say what is wrong with it."""
        body = line.rstrip(b"\r\n")
        if problem := self._no_text(body):
            return line, problem
        if self.quote is None or self.quote not in body or self._is_well_quoted(body):
            return line, None
        whole = self._with_more_lines(line, lines)
        if whole is None:
            return line, "A quoted field is not closed, or text stands beside its quotes."
        for _ in range(whole.count(b"\n", 0, -1) if whole.endswith(b"\n") else whole.count(b"\n")):
            lines.take()
        return whole, self._no_text(whole.rstrip(b"\r\n"), inner_breaks=True)

    def _is_well_quoted(self, text: bytes) -> bool:
        return self.well_quoted is None or self.well_quoted(text) is not None

    def _with_more_lines(self, line: bytes, lines: _Lines) -> bytes | None:
        """Add the lines up to the closing quote; None if they make no record with it."""
        assert self.quote is not None  # noqa: S101 - called for files with quotes
        if line.count(self.quote) % 2 == 0:
            return None
        parts, length = [line], len(line)
        for more in lines.ahead():
            parts.append(more)
            length += len(more)
            if length > LONGEST_RECORD:
                return None
            # Lines between have whole pairs of quotes: the next odd one closes the field, or nothing does.
            if more.count(self.quote) % 2:
                whole = b"".join(parts)
                return whole if self._is_well_quoted(whole.rstrip(b"\r\n")) else None
        return None

    def _no_text(self, text: bytes, inner_breaks: bool = False) -> str | None:
        if not text.strip() and self.delimiter not in text:
            return "The line is empty."
        if len(text) > LONGEST_RECORD:
            return f"The line has {len(text)} bytes, more than {LONGEST_RECORD}."
        if b"\0" in text or b"\r" in (text.replace(b"\r\n", b"\n") if inner_breaks else text):
            return "The line holds control bytes (NUL or a carriage return): binary data?"
        # By its first byte, for most lines: what follows costs more than all other questions together.
        if text[0] in self._begins_header and self.names(text) == self.header:
            return "The line is the header again: two files glued together?"
        if not text.isascii():
            if text.startswith(self._marks):
                return "The line begins with a byte order mark: two files glued together?"
            try:
                text.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"The line is not UTF-8: byte {text[error.start]:#04x} at column {error.start + 1}."
        return None


def _well_quoted(delimiter: str, quote: str) -> Callable[[bytes], object]:
    """Make a matcher of records in which each field is quoted properly or does not begin with a quote."""
    # Possessive quantifiers (*+): a long line that does not match fails at once instead of after exponential time.
    mark, q = re.escape(delimiter), re.escape(quote)
    # A tab that is the delimiter ends an empty field; it is no blank before the quote of the next one.
    blanks = " \t".replace(delimiter, "")
    field_ = rf"(?:{q}(?:[^{q}]|{q}{q})*+{q}|(?![{blanks}]*{q})[^{mark}\r\n]*+)"
    # DOTALL is not needed: the classes are negated. Bytes, because a file need not be text throughout.
    return re.compile(rf"{field_}(?:{mark}{field_})*+".encode()).fullmatch
