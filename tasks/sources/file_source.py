"""A folder of files as a source: the tables of a day, and the lines that could not be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError
from tasks.sources.datasets import Dataset, Table, schema_of
from tasks.sources.folders import Folder
from tasks.sources.layout import Layout
from tasks.sources.readers import read_file
from tasks.sources.rejects import LINE_NUMBER, REJECTS, Judge, Reject, read_with_rejects
from tasks.sources.row_days import Split, dayless, split_days
from tasks.sources.sent_before import RecentKeys, with_sent_before
from tasks.sources.typed_values import reader_digest
from tasks.store.files import digest

if TYPE_CHECKING:
    import pyarrow as pa

READING = (
    "file_source", "folders", "readers", "layout", "rejects", "csv_files", "csv_lines", "json_lines", "parquet_files",
    "row_days", "typed_values", "sent_before",
)  # fmt: skip
"""Modules that decide what is read: a landed day is a function of them."""
DAY = timedelta(days=1)


class FileSource:
    """Lands the files of a folder, a day at a time."""

    def __init__(self, dataset: Dataset, folder: Folder) -> None:
        """Take a declaration and the folder it describes; the folder is opened only when a file is needed."""
        self.dataset = dataset
        self.folder = folder
        self.name = dataset.name
        self.tables = (*dataset.tables, REJECTS)
        self.entities = frozenset(name for name, table in dataset.tables.items() if table.static or table.changes)
        self._sha256: dict[str, str] = {}
        self._split: dict[str, Split] = {}
        self._keys = {name: RecentKeys(table.key, table.looks_back) for name, table in dataset.tables.items()}

    def partitions(self, table: str, start: date, end: date) -> list[date]:
        """List the days of a table that a reader of [start, end] needs.

        Raises:
            SourceError: the data set does not cover the range.
        """
        return self.dataset.days(table, start, end)

    def inputs(self, table: str, day: date) -> str:
        """Hash what makes a partition: its file's bytes, its declaration, and the reader's code.

        Raises:
            SourceError: a file that should be there is not.
        """
        known = self.dataset
        names = known.tables if table == REJECTS else {table: known.tables[table]}
        files = {name: self._files_digest(declared, day) for name, declared in names.items()}
        shape = {
            name: [declared.model_dump(mode="json"), known.dialect.model_dump()] for name, declared in names.items()
        }
        earlier = {
            name: [self._files_digest(declared, before) for before in self._days_before(declared, day)]
            for name, declared in names.items()
            if declared.looks_back
        }
        # The first day takes the static tables and the lines without a day: moving it moves them.
        made_of = {"files": files, "tables": shape, "first": known.first_day, "reader": self._reader}
        if earlier and table != REJECTS:
            made_of["earlier"] = earlier
        if table == REJECTS:
            # A line whose day lies behind the last one is among those that could not be read.
            made_of["last"] = known.last_day
        return digest(made_of)

    @cached_property
    def _reader(self) -> str:
        return reader_digest(READING)

    def _files_digest(self, table: Table, day: date) -> str | None:
        files = self._files(table, day)
        if files is None:
            return None
        for name in files:
            if name not in self._sha256:
                # A file for all days is asked for once a day; it cannot change while one source object lives.
                self._sha256[name] = self.folder.sha256(name)
        if "*" not in table.file:
            return self._sha256[files[0]]
        return digest([[name, self._sha256[name]] for name in files])

    def _files(self, table: Table, day: date) -> list[str] | None:
        """Locate the files a table's day is in, in the order of their names; None for a closed day."""
        if not self.folder.exists():
            raise SourceError(
                f"{self.folder.place('')}: no such folder; expected the files of {self.name} "
                f"({', '.join(one.file for one in self.dataset.tables.values())}); give the folder with --data "
                f"or MATINEE_DATA_{self.name.upper()}"
            )
        if found := self._found(table, day):
            return found
        path = self.folder.place(_name(table, day))
        if not table.daily:
            raise SourceError(f"{path}: no such file; expected it in the folder of {self.name}")
        if self.dataset.closed.on(day):
            return None
        raise SourceError(
            f"{path}: no file for {day:%A} {day}, and the day is not declared closed; get the file, or, if there "
            f"is none, add the day to `closed` in transforms/datasets/{self.name}.yaml"
        )

    def _found(self, table: Table, day: date) -> list[str]:
        return self.folder.find(_name(table, day))

    def read(self, day: date, tables: Iterable[str]) -> dict[str, pa.Table]:
        """Read the rows of a day as one Arrow table each, in the order of the file.

        Raises:
            SourceError: a file is missing or is not what is declared.
        """
        return read_with_rejects(tables, self.dataset.tables, self._read_table, day)

    def _read_table(self, name: str, day: date) -> tuple[pa.Table, list[Reject]]:
        table = self.dataset.tables[name]
        first = day == self.dataset.first_day
        if table.day is not None:
            if name not in self._split:
                rows, rejects = self._parse(name, day)
                self._split[name] = split_days(table, rows, rejects)
            return self._split[name].on(day), self._split[name].rejects if first else []
        if table.static and not first:
            return schema_of(table).empty_table(), []
        rows, rejects = self._parse(name, day)
        if table.looks_back:
            read = partial(self._rows, name)
            earlier = {before: self._keys[name].of(before, read) for before in self._days_before(table, day)}
            rows = with_sent_before(rows, table.key, earlier, self._connection)
        return rows, rejects

    def _days_before(self, table: Table, day: date) -> list[date]:
        """List the days whose files tell whether rows of a day were sent before."""
        days = (day - n * DAY for n in range(table.looks_back, 0, -1))
        # A day that was never delivered has sent nothing; that it is missing is said where it is landed itself.
        return [one for one in days if one >= self.dataset.first_day and self._found(table, one)]

    def _rows(self, name: str, day: date) -> pa.Table:
        return self._parse(name, day)[0]

    def _parse(self, name: str, day: date) -> tuple[pa.Table, list[Reject]]:
        """Read the files of a table's day; lines are counted on from file to file."""
        import pyarrow as pa

        table, layout = self.dataset.tables[name], self.dataset.layout(name)
        judge = partial(dayless, self.dataset, table) if table.day else None
        parts, rejects, before = [schema_of(table).empty_table()], list[Reject](), 0
        for file in self._files(table, day) or []:
            rows, refused = self._read_file(file, layout, judge)
            rows, refused = rows.cast(schema_of(table)), sorted(refused, key=lambda reject: reject.line)
            if "*" in table.file:
                rows, refused, before = _counted_on(rows, refused, before, file)
            parts.append(rows)
            rejects += refused
        return pa.concat_tables(parts), rejects

    def _read_file(self, file: str, layout: Layout, judge: Judge | None) -> tuple[pa.Table, list[Reject]]:
        path = self.folder.fetch(file)
        try:
            return read_file(path, layout, self._connection, judge)
        except SourceError as error:
            # People know the object that they put there, not the copy that was fetched.
            raise SourceError(str(error).replace(str(path), self.folder.place(file))) from None

    @cached_property
    def _connection(self) -> Any:
        from tasks.store.database import connect

        return connect(":memory:")


def _name(table: Table, day: date) -> str:
    return table.file.replace("{ds}", day.isoformat())


def _counted_on(rows: pa.Table, rejects: list[Reject], before: int, place: str) -> tuple[pa.Table, list[Reject], int]:
    """Count the lines of a file on from those of the files before it: a line's number is one of its day."""
    import pyarrow.compute as pc

    at = rows.schema.get_field_index(LINE_NUMBER)
    last = max(pc.max(rows[LINE_NUMBER]).as_py() or 0, rejects[-1].line if rejects else 0)
    named = [replace(one, line=one.line + before, error=f"{place}, line {one.line}: {one.error}") for one in rejects]
    return rows.set_column(at, LINE_NUMBER, pc.add(rows[LINE_NUMBER], before)), named, before + last
