"""A folder of files as a source: the tables of a day, and the lines that could not be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import partial

import pyarrow as pa

from tasks.errors import SourceError
from tasks.sources.datasets import Dataset, Table, schema_of
from tasks.sources.declared_source import DeclaredSource
from tasks.sources.files.folders import Folder
from tasks.sources.files.readers import read_file
from tasks.sources.layout import Layout
from tasks.sources.rejects import LINE_NUMBER, Judge, Refuse, Reject
from tasks.sources.row_days import Split, dayless, split_days
from tasks.sources.spool import Spool
from tasks.store.files import digest
from tasks.store.partitions import Rows


class FileSource(DeclaredSource):
    """Lands the files of a folder, a day at a time."""

    def __init__(self, dataset: Dataset, folder: Folder) -> None:
        """Take a declaration and the folder it describes; the folder is opened only when a file is needed."""
        super().__init__(dataset)
        self.folder = folder
        self._sha256: dict[str, str] = {}
        self._split: dict[str, Split] = {}

    def _content(self, name: str, day: date) -> str | None:
        table = self.dataset.tables[name]
        files = self._files(table, day)
        if files is None:
            return None
        for file in files:
            if file not in self._sha256:
                # A file for all days is asked for once a day; it cannot change while one source object lives.
                self._sha256[file] = self.folder.sha256(file)
        if "*" not in table.file:
            return self._sha256[files[0]]
        return digest([[file, self._sha256[file]] for file in files])

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

    def _read_table(self, name: str, day: date, refuse: Refuse) -> Rows:
        table = self.dataset.tables[name]
        first = day == self.dataset.first_day
        if table.day is not None:
            if name not in self._split:
                rows, rejects = self._parse(name, day)
                self._split[name] = split_days(table, rows, rejects)
            if first:
                refuse(self._split[name].rejects)
            of_day: Rows = self._split[name].on(day)
            return of_day
        if table.static and not first:
            return Spool(schema_of(table))
        rows, rejects = self._parse(name, day)
        refuse(rejects)
        return self._with_sent_before(name, day, rows) if table.looks_back else rows

    def _key_rows(self, name: str, day: date) -> Rows:
        rows: Rows = self._parse(name, day)[0]
        return rows

    def _has(self, name: str, day: date) -> bool:
        # A day that was never delivered has sent nothing; that it is missing is said where it is landed itself.
        return bool(self._found(self.dataset.tables[name], day))

    def _parse(self, name: str, day: date) -> tuple[pa.Table, list[Reject]]:
        """Read the files of a table's day; lines are counted on from file to file."""
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
            return read_file(path, layout, self._duckdb, judge)
        except SourceError as error:
            # People know the object that they put there, not the copy that was fetched.
            raise SourceError(str(error).replace(str(path), self.folder.place(file))) from None


def _name(table: Table, day: date) -> str:
    return table.file.replace("{ds}", day.isoformat())


def _counted_on(rows: pa.Table, rejects: list[Reject], before: int, place: str) -> tuple[pa.Table, list[Reject], int]:
    """Count the lines of a file on from those of the files before it: a line's number is one of its day."""
    import pyarrow.compute as pc

    at = rows.schema.get_field_index(LINE_NUMBER)
    last = max(pc.max(rows[LINE_NUMBER]).as_py() or 0, rejects[-1].line if rejects else 0)
    named = [replace(one, line=one.line + before, error=f"{place}, line {one.line}: {one.error}") for one in rejects]
    return rows.set_column(at, LINE_NUMBER, pc.add(rows[LINE_NUMBER], before)), named, before + last
