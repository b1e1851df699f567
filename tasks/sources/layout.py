"""How a source's files are written: their columns, and the dialect of text files.

The words are those of Frictionless Data's CSV dialect and of pandas where both have one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Encoding = Literal[
    "utf-8", "utf-16", "ascii", "latin-1", "iso-8859-2", "iso-8859-15", "cp1250", "cp1251", "cp1252", "cp1254",
    "koi8-r", "mac-roman", "shift-jis", "euc-jp", "euc-kr", "gb18030", "big5",
]  # fmt: skip
ColumnType = Literal["VARCHAR", "BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP"]
Format = Literal["csv", "json_lines", "parquet"]
COMPRESSIONS = (".gz", ".zst")
_SUFFIXES: dict[str, Format] = {".jsonl": "json_lines", ".ndjson": "json_lines", ".parquet": "parquet"}
ISO = "iso"
# One byte, because that is what parsers of CSV take; a letter or a digit would stand in values, too.
_Mark = Annotated[str, Field(min_length=1, max_length=1, pattern=r"^[\t !-/:-@\[-`{-~]$")]
# The directives that DuckDB's strptime knows.
_Format = Annotated[
    str,
    Field(max_length=64, pattern=r"^(iso|([^%\x00]*%(-?[dmyHIMSj]|[aAbBfgnpzZYGVuwUWcxX%]))+[^%\x00]*)$"),
]


class Dialect(BaseModel):
    """How text files are written. A table's own keys go before those of its data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: _Mark = Field(default=",", description="One character between fields.")
    quote: _Mark | None = Field(
        default='"', description="Encloses fields with delimiters or line breaks in them; `null`: nothing does."
    )
    encoding: Encoding = Field(default="utf-8", description="Of the text.")
    header: bool = Field(default=True, description="`false`: no line with names; columns are in the file's order.")
    others: Literal["refuse", "ignore"] = Field(
        default="refuse", description="What becomes of a file with columns that are not declared."
    )
    decimal: Literal[".", ","] = Field(default=".", description="Mark before a number's fraction.")
    thousands: Literal[",", ".", "'", " ", "_", "\u00a0", "\u202f"] | None = Field(
        default=None, description="Mark between groups of three digits, where numbers may have it."
    )
    null_values: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=("",), max_length=50, description="Texts that stand for no value, in every column."
    )
    timestamps: Annotated[tuple[_Format, ...], Field(min_length=1, max_length=10)] = Field(
        default=(ISO,), description="How times are written: `iso` or strptime formats; the first that fits counts."
    )
    dates: Annotated[tuple[_Format, ...], Field(min_length=1, max_length=10)] = Field(
        default=(ISO,), description="The same for days."
    )

    @field_validator("null_values")
    @classmethod
    def _an_empty_field_is_none(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return texts if "" in texts else ("", *texts)

    @model_validator(mode="after")
    def _marks_differ(self) -> Dialect:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; expected two marks")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.delimiter!r}; expected two marks")
        return self

    def with_keys_of(self, other: Dialect) -> Dialect:
        """Take over the keys that another dialect declares."""
        return self.model_copy(update={key: getattr(other, key) for key in other.model_fields_set})


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes:
        header: name of each declared column in the file.
        names: its name in the landing.
        types: its DuckDB type.
        dialect: how values are written as text.
    """

    header: tuple[str, ...]
    names: tuple[str, ...]
    types: tuple[ColumnType, ...]
    dialect: Dialect = field(default_factory=Dialect)

    def only(self, names: tuple[str, ...]) -> Layout:
        """Describe some of the columns, in the order given."""
        places = [self.names.index(name) for name in names]
        header, types = tuple(self.header[place] for place in places), tuple(self.types[place] for place in places)
        return replace(self, header=header, names=names, types=types)

    def without_dialect(self) -> Layout:
        """Describe values that other formats write in one way: parquet, databases."""
        return replace(self, dialect=Dialect(others=self.dialect.others, null_values=self.dialect.null_values))


def format_of(name: str) -> Format:
    """Tell a file's format by its name: CSV unless it says otherwise."""
    path = Path(name)
    return _SUFFIXES.get((path.with_suffix("") if path.suffix in COMPRESSIONS else path).suffix, "csv")
