"""Rows on their way from a source to the landing: in memory while they are few, on the disk when they are many."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

IN_MEMORY = 8 << 20
"""Bytes of a table's day beyond which it is kept on the disk, in the folder that `TMPDIR` names."""


class _NamelessFile(tempfile.SpooledTemporaryFile[bytes]):
    """A file of which nothing is left behind, however the process ends; it goes with the last reader of it."""

    def __del__(self) -> None:
        self.close()


class Spool:
    """Rows that are added a part at a time, and then read a part at a time, as often as asked."""

    def __init__(self, schema: pa.Schema) -> None:
        """Take the columns."""
        import pyarrow as pa

        self.schema = schema
        self._file = _NamelessFile(IN_MEMORY)
        self._writer = pa.ipc.new_stream(self._file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))

    @classmethod
    def of(cls, schema: pa.Schema, parts: Iterable[pa.Table]) -> Spool:
        """Keep parts as they come."""
        spool = cls(schema)
        for part in parts:
            spool.add(part)
        return spool

    def add(self, rows: pa.Table) -> None:
        """Keep further rows; none can be added once they have been read."""
        if rows.num_rows:
            self._writer.write_table(rows)

    def to_reader(self) -> pa.RecordBatchReader:
        """Read the rows from the first one on; one reader at a time."""
        import pyarrow as pa

        self._writer.close()
        self._file.seek(0)
        return pa.ipc.open_stream(self._file)
