"""Data sets, declared by `transforms/datasets/<name>.yaml`: of files, or of a database's tables.

Bringing your own data means such a file and staging models in `transforms/models/staging/<name>/`.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tasks.errors import SourceError, SpecError
from tasks.sources.layout import ColumnType, Dialect, Format, Layout, format_of
from tasks.sources.rejects import LINE_NUMBER, REJECTS
from tasks.spec.explain import explain
from tasks.spec.project import Layers, transforms
from tasks.spec.values import Day as CalendarDay
from tasks.spec.values import Days
from tasks.spec.yaml_lines import nearest, read_document

if TYPE_CHECKING:
    import pyarrow as pa

UNIQUE_WITHIN = 7
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LAST_DAY = date(2999, 12, 31)
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAY_TYPES = {"epoch_seconds": "BIGINT", "epoch_milliseconds": "BIGINT", "timestamp": "TIMESTAMP", "date": "DATE"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Part):
    """A column of a file or of a database's table."""

    name: Name = Field(description="Name in the landing.")
    header: Annotated[str, Field(max_length=512, pattern=r"^[^\r\n\x00]*$")] | None = Field(
        default=None,
        description="Name in the source: of its header, its JSON key, its parquet or database column; `name` if absent",
    )
    type: ColumnType = Field(description="DuckDB type; a line whose value is none is rejected.")

    @property
    def in_file(self) -> str:
        """Its name in the file, which may be empty: of a table's index as pandas writes it."""
        return self.name if self.header is None else self.header


class Day(_Part):
    """Which day a row belongs to, of a file for all days or of a database's table."""

    column: Name = Field(description="Landed name of the column.")
    unit: Literal["epoch_seconds", "epoch_milliseconds", "timestamp", "date"] = Field(description="What it holds.")


class Table(_Part):
    """A table: one file per day, one file for all days, one file without days; or one of a database."""

    file: str = Field(
        default="",
        description="`{ds}.csv` for a file per day, or the name of the only file; `*` for several: `{ds}/*.csv.gz`. "
        "Its end tells the format: .jsonl and .ndjson are JSON lines, .parquet is parquet, others are CSV; .gz and "
        ".zst behind it are unpacked.",
    )
    from_: Annotated[str, Field(pattern=r"^[^.\x00]{1,63}(\.[^.\x00]{1,63})?$")] | None = Field(
        default=None, alias="from", description="Instead of `file`: a table or view of a database, `schema.name`."
    )
    updated: str | None = Field(
        default=None,
        min_length=1,
        description="Column of a database's table that every change of a row raises: tells changed days cheaply.",
    )
    day: Day | None = Field(
        default=None, description="How the only file, or the table of a database, is split into days."
    )
    static: bool = Field(
        default=False, description="The only file, or the table, has no days: it lands on the first day."
    )
    changes: bool = Field(
        default=False, description="Its rows say what users or items are from then on: all count, however old."
    )
    dialect: Dialect = Field(default_factory=Dialect, description="How its text is written; goes first.")
    columns: Annotated[tuple[Column, ...], Field(min_length=1)] = Field(description="In the file's order.")
    key: tuple[Name, ...] = Field(
        default=(), description="Columns that tell its rows apart, also those of other days: an event's id."
    )
    unique_within: Annotated[Days, Field(ge=1, le=90)] | None = Field(
        default=None,
        description="A row whose key came on one of so many days before is one that was sent again, and is refused; "
        "`7d` for a table with a key whose days are sent by themselves.",
    )

    @model_validator(mode="after")
    def _is_of_one_source(self) -> Table:
        if bool(self.file) == bool(self.from_):
            raise ValueError("expected exactly one of: `file`, `from`")
        if self.from_ is None and self.updated is not None:
            raise ValueError("updated: is for tables of a database, which have `from`")
        if self.updated is not None and not self.key:
            # Of rows that are told apart by nothing else, two could take each other's place unnoticed.
            raise ValueError("updated: expected a `key`, which tells the rows apart")
        if self.from_ is not None and self.dialect.model_fields_set:
            raise ValueError("dialect: is for files; a database's values have types")
        return self

    @model_validator(mode="after")
    def _is_one_kind(self) -> Table:
        kinds = ("{ds}" in self.file) + (self.day is not None) + self.static
        if kinds != 1:
            raise ValueError("expected exactly one of: a file name with {ds}, `day`, `static: true`")
        # A declaration must not make a file from elsewhere part of the landing.
        if Path(self.file).is_absolute() or ".." in Path(self.file).parts:
            raise ValueError(f"file: found {self.file!r}, expected a path below the data folder")
        names = [column.name for column in self.columns]
        # Both are taken: the line that a row was read from, and the day of its partition.
        if len(set(names)) < len(names) or {LINE_NUMBER, "ds"} & set(names):
            raise ValueError(f"columns: names must differ, and none may be `{LINE_NUMBER}` or `ds`")
        if (unknown := sorted(set(self.key) - set(names))) or len(set(self.key)) < len(self.key):
            raise ValueError(f"key: found {', '.join(unknown) or 'a column twice'}, expected columns of the table")
        if self.unique_within and not (self.key and self.by_day):
            raise ValueError(
                "unique_within: expected a `key`, and a file per day ({ds}) or a database's table with `day`"
            )
        headers = [column.in_file for column in self.columns]
        if self.dialect.header and len(set(headers)) < len(headers):
            raise ValueError("columns: two have the same header")
        if self.day is not None:
            types = {column.name: column.type for column in self.columns}
            expected = _DAY_TYPES[self.day.unit]
            if types.get(self.day.column) != expected:
                raise ValueError(
                    f"day: found column {self.day.column!r} of type {types.get(self.day.column)}; "
                    f"expected one of the columns, of type {expected} for {self.day.unit}"
                )
        return self

    @property
    def daily(self) -> bool:
        """Whether there is a file per day."""
        return "{ds}" in self.file

    @property
    def by_day(self) -> bool:
        """Whether the rows of a day can be had without those of other days."""
        return self.daily or (self.from_ is not None and self.day is not None)

    @property
    def looks_back(self) -> int:
        """Days before a day whose rows tell whether its own were sent before; 0 if that is not asked."""
        return (self.unique_within or UNIQUE_WITHIN) if self.key and self.by_day else 0

    @property
    def format(self) -> Format:
        """Of its files."""
        return format_of(self.file)


class Closed(_Part):
    """Days without a file that are known to be empty."""

    weekdays: tuple[Weekday, ...] = Field(default=(), description="Closed every week.")
    days: tuple[CalendarDay, ...] = Field(default=(), description="Closed once.")

    def on(self, day: date) -> bool:
        """Tell whether a day without a file is an empty day."""
        # Closed days are declared, since a lost file must not pass for a quiet day.
        return WEEKDAYS[day.weekday()] in self.weekdays or day in self.days


class Download(_Part):
    """A zip archive with a workbook in it, at the data set's official home."""

    url: Annotated[str, Field(pattern=r"^https?://")] = Field(description="The archive.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(description="Its checksum.")
    workbook: str = Field(description="Name of the Excel file in it; its first sheet has the columns below.")
    day: str = Field(description="Header of the column whose day names the file a row goes to.")
    rows: int = Field(description="Rows of the sheet below its header.")


class Dataset(_Part):
    """A data set: of files, or of a database's tables."""

    name: Name = Field(description="Name of this file, of the source and of its staging folder.")
    description: str = Field(description="One sentence for people.")
    homepage: str | None = Field(default=None, description="Where it comes from.")
    license: str | None = Field(default=None, description="What one may do with it.")
    download: Download | None = Field(default=None, description="Where `matinee download` gets it.")
    first_day: CalendarDay = Field(description="No data before this day; static tables land on it.")
    last_day: CalendarDay = Field(default=LAST_DAY, description="No data after this day.")
    closed: Closed = Field(default_factory=Closed, description="Days that have no file.")
    dialect: Dialect = Field(default_factory=Dialect, description="How the text of its tables' files is written.")
    tables: Annotated[dict[Name, Table], Field(min_length=1)] = Field(description="By name.")

    @model_validator(mode="after")
    def _is_one_source(self) -> Dataset:
        if len({table.from_ is None for table in self.tables.values()}) > 1:
            raise ValueError(
                "tables: some have `file` and some have `from`; expected one source: declare two data sets"
            )
        return self

    @property
    def in_database(self) -> bool:
        """Whether its tables are a database's."""
        return any(table.from_ is not None for table in self.tables.values())

    def days(self, table: str, start: date, end: date) -> list[date]:
        """List the days of a table, or of the rejects, that a reader of [start, end] needs.

        Raises:
            SourceError: the data set does not cover the range.
        """
        if start < self.first_day or end > self.last_day:
            raise SourceError(
                f"data set {self.name} covers {self.first_day} to {self.last_day}; found the days {start} to "
                f"{end}; set `start` and `end` in the pipeline file, or the as-of day, within it"
            )
        days = [start + n * timedelta(days=1) for n in range((end - start).days + 1)]
        if table == REJECTS:
            # The unreadable rows of a file for all days have no day; they land with the first one.
            first = start > self.first_day and not all(one.by_day for one in self.tables.values())
            return [self.first_day, *days] if first else days
        if self.tables[table].static:
            return [self.first_day]
        if self.tables[table].changes:
            return [self.first_day + n * timedelta(days=1) for n in range((end - self.first_day).days + 1)]
        return days

    def layout(self, table: str) -> Layout:
        """How the files of a table are written."""
        declared = self.tables[table]
        return Layout(
            header=tuple(column.in_file for column in declared.columns),
            names=tuple(column.name for column in declared.columns),
            types=tuple(column.type for column in declared.columns),
            dialect=self.dialect.with_keys_of(declared.dialect),
        )


def load_dataset(name: str, folder: Path | None = None) -> Dataset:
    """Read and check a data set's declaration.

    Args:
        name: of the data set.
        folder: of its file; those of matinee and of the project if absent.

    Raises:
        SpecError: naming file, line, key, what was found and what was expected.
    """
    folders = transforms().below("datasets") if folder is None else Layers((folder,))
    path = folders.whole(f"{name}.yaml")
    if not path.is_file():
        known = sorted({p.stem for p in folders.glob("*.yaml")})
        raise SpecError(f"{path}: no such data set; expected one of {', '.join(known)}{nearest(name, known)}")
    document = read_document(path)
    try:
        dataset = Dataset.model_validate(document.value)
    except ValidationError as error:
        raise SpecError(explain(document, Dataset, error.errors())) from None
    if dataset.name != name:
        raise SpecError(f"{document.at(('name',))}: name: found {dataset.name!r}, expected {name!r}, as the file")
    return dataset


def schema_of(table: Table) -> pa.Schema:
    """Translate a table's declared types into those of its partitions."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "INTEGER": pa.int32(), "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(), "DATE": pa.date32(), "TIMESTAMP": pa.timestamp("us"),
    }  # fmt: skip
    return pa.schema([*((c.name, types[c.type]) for c in table.columns), (LINE_NUMBER, pa.int64())])
