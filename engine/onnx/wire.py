"""Messages of protocol buffers, read by a closed list of fields: what is not on the list is refused, not skipped.

A file from elsewhere is read by these few lines before any library gets it. They follow no recursion but that of the
list, copy no bytes, and stop after so many fields. See https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

MOST_FIELDS = 1_000_000
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}
_LONGEST_TEXT = 4_096

Plain = Literal["number", "text", "bytes", "skipped", "refused"]


class Malformed(ValueError):  # noqa: N818 - says what happened
    """Bytes that are no such message, or one with a field that is not on the list."""


@dataclass(frozen=True)
class Field:
    """A field that a message may have.

    Attributes:
        name: under which it is returned.
        kind: what it holds; of a message its fields, by number; `skipped` is passed over, whatever it is; `refused` is
            an error that says the name, as is a number that is not listed.
        repeated: whether it may be there several times; numbers may also be packed into one.
    """

    name: str
    kind: Plain | Mapping[int, Field]
    repeated: bool = False


@dataclass
class Budget:
    """How many fields may still be read, in all messages of a file together."""

    left: int = MOST_FIELDS

    def spend(self) -> None:
        """Count one more; raise `Malformed` where it is one too many."""
        self.left -= 1
        if self.left < 0:
            raise Malformed(f"more than {MOST_FIELDS:,} fields")


def read_message(data: memoryview, fields: Mapping[int, Field], budget: Budget) -> dict[str, Any]:
    """Read a message: the values of its fields by their names, lists of those that may be repeated.

    Raises:
        Malformed: it is cut off, has a field that is not listed, or one twice that may be there once.
    """
    values: dict[str, Any] = {field.name: [] for field in fields.values() if field.repeated}
    for number, kind, value in _entries(data, budget):
        field = fields.get(number)
        if field is None:
            raise Malformed(f"field {number} of a message with {', '.join(f.name for f in fields.values())}")
        if field.repeated:
            values[field.name] += _repeated(field, kind, value, budget)
        elif field.name in values:
            # A library would merge the two, and then see another model than the one that was checked.
            raise Malformed(f"{field.name} twice")
        else:
            values[field.name] = _single(field, kind, value, budget)
    return values


def _entries(data: memoryview, budget: Budget) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield (number of the field, wire type, value) of each entry."""
    at = 0
    while at < len(data):
        budget.spend()
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        if kind == _BYTES:
            length, at = _varint(data, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:  # groups, which no format of today has
            raise Malformed(f"wire type {kind}")
        if number == 0 or length > len(data) - at:
            raise Malformed("an entry longer than what is left")
        yield number, kind, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a number of up to 64 bits; return it and where it ends."""
    number = 0
    for place in range(10):
        if at + place >= len(data):
            raise Malformed("cut off in a number")
        byte = data[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at + place + 1
    raise Malformed("a number of more than 64 bits")


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _repeated(field: Field, kind: int, value: int | memoryview, budget: Budget) -> list[Any]:
    if field.kind != "number" or kind != _BYTES or isinstance(value, int):
        return [_single(field, kind, value, budget)]
    numbers, at = [], 0
    while at < len(value):
        budget.spend()
        number, at = _varint(value, at)
        numbers.append(_signed(number))
    return numbers


def _single(field: Field, kind: int, value: int | memoryview, budget: Budget) -> Any:
    if field.kind == "skipped":
        return None
    if field.kind == "refused":
        raise Malformed(field.name)
    if (field.kind == "number") != (kind == _VARINT) or (field.kind != "number" and kind != _BYTES):
        raise Malformed(f"{field.name} of wire type {kind}")
    if isinstance(value, int):
        return _signed(value)
    if field.kind == "bytes":
        return value
    if field.kind == "text":
        if len(value) > _LONGEST_TEXT:
            raise Malformed(f"{field.name} of {len(value):,} bytes")
        try:
            return bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed(f"{field.name} is no text") from None
    if isinstance(field.kind, str):
        raise AssertionError(field.kind)
    return read_message(value, field.kind, budget)
