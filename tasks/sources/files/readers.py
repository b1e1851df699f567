"""Reading one file of a data set, whatever its format and compression.

To add a format, write a reader and its line in `READERS`.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import SourceError, first_line
from tasks.sources.files.csv_files import read_csv
from tasks.sources.files.json_lines import read_json_lines
from tasks.sources.files.parquet_files import read_parquet
from tasks.sources.layout import COMPRESSIONS, Format, Layout, format_of
from tasks.sources.rejects import Judge, Reject

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

Reader = Callable[
    [Path, Layout, "DuckDBPyConnection", Judge | None], "tuple[pa.Table, list[Reject]]"
]  # fmt: skip
READERS: dict[Format, Reader] = {"csv": read_csv, "json_lines": read_json_lines, "parquet": read_parquet}
"""Reads a file: its typed rows with `line_number`, and the records refused."""
_CHUNK = 1 << 20


def read_file(
    path: Path, layout: Layout, connection: DuckDBPyConnection, judge: Judge | None = None
) -> tuple[pa.Table, list[Reject]]:
    """Read a file by the reader of its format.

    Raises:
        SourceError: it is absent, damaged, or not what is declared.
    """
    with _unpacked(path) as plain:
        try:
            return READERS[format_of(path.name)](plain, layout, connection, judge)
        except SourceError as error:
            # People know the file that they gave, not the copy that was read.
            raise SourceError(str(error).replace(str(plain), str(path))) from None


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    if path.suffix not in COMPRESSIONS:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
        plain = Path(folder) / "unpacked"
        try:
            _unpack(path, plain)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}: cannot be unpacked ({first_line(error)}); is it complete?") from None
        yield plain


def _unpack(path: Path, plain: Path) -> None:
    import pyarrow as pa

    with plain.open("wb") as target:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                while chunk := stream.read(_CHUNK):
                    target.write(chunk)
            return
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as packed:
            while chunk := packed.read(_CHUNK):
                target.write(chunk)
