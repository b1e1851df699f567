"""Ways to inject a fault: into landed rows, into a source's file, into the warehouse, into a run's own files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench._faults import Fault, Inject
from tasks.checks.profile import parquet
from tasks.features.duckdb_warehouse import DuckDBWarehouse
from tasks.runs.run import Run
from tasks.sources.land import open_source
from tasks.store.atomic import atomic_file
from tasks.store.database import memory
from tasks.store.files import write_digests
from tasks.store.partitions import partition_dir, store

if TYPE_CHECKING:
    import pyarrow as pa

DAY = timedelta(days=1)
Rewrite = Callable[[bytes, "Files"], bytes]


def landed(days: int = 1, **statements: str) -> Inject:
    """Land other rows, of the run's day or of several days up to it.

    Args:
        days: number of days, the run's day included.
        statements: by table, the SQL of what is landed. It may name `source` (what the source delivers for the day),
            `yesterday` (the same of the day before), `landed` (everything landed before) and, in braces, {day}, the
            {last} of the days, and the folder of the source's {landing}.
    """

    def inject(run: Run) -> None:
        for day in [run.as_of - n * DAY for n in reversed(range(days))]:
            source = open_source(run.spec, run.home, run.data)
            today, before = source.read(day, statements), source.read(day - DAY, statements)
            for table, statement in statements.items():
                old = run.home.landing(source.name) / table
                paths = sorted(p for p in old.glob("*/*.parquet") if p.parent.name < f"ds={day}")
                named = {"{day}": str(day), "{last}": str(run.as_of), "{landing}": str(old.parent)}
                rows = query(_filled(statement, named), today[table], before[table], paths)
                folder = partition_dir(run.home, source.name, table, day)
                shutil.rmtree(folder, ignore_errors=True)
                store(folder, rows, inputs=source.inputs(table, day))

    return inject


def _filled(text: str, named: Mapping[str, str]) -> str:
    for name, value in named.items():
        text = text.replace(name, value)
    return text


def query(statement: str, source: pa.Table, yesterday: pa.Table, before: list[Path]) -> pa.Table:
    """Run a fault's SQL on a table."""
    with memory() as connection:
        connection.register("source", source)
        connection.register("yesterday", yesterday)
        if before:
            connection.execute(f"create view landed as select * from {parquet(before)}")
        return connection.sql(statement).to_arrow_table()


class Files:
    """The files of the days around a run, for faults that need more than one."""

    def __init__(self, run: Run) -> None:
        assert run.data is not None
        self.folder, self.day = run.data, run.as_of

    def path(self, day: date) -> Path:
        """The file of a day."""
        return self.folder / f"{day}.csv"

    def before(self) -> bytes:
        """Content of the file of the trading day before."""
        earlier = sorted(path for path in self.folder.glob("*.csv") if path.stem < str(self.day))
        return earlier[-1].read_bytes()


def delivered(rewrite: Rewrite) -> Inject:
    """Deliver another file for the run's day, made from the bytes of the real one."""

    def inject(run: Run) -> None:
        files = Files(run)
        path = files.path(run.as_of)
        content = rewrite(path.read_bytes(), files)
        path.unlink()
        path.write_bytes(content)

    return inject


def not_delivered(run: Run) -> None:
    """Deliver no file for the run's day."""
    Files(run).path(run.as_of).unlink()


def cells(**changes: Callable[[str, int], str]) -> Inject:
    """Deliver the day's file with other cells.

    Args:
        changes: by header, the new text of a cell, given its old text and its line (from 0).
    """
    import csv
    import io

    def rewrite(content: bytes, _: Files) -> bytes:
        header, *rows = list(csv.reader(io.StringIO(content.decode("utf-8"))))
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\n").writerow
        write(header)
        for number, row in enumerate(rows):
            write([changes[n](cell, number) if n in changes else cell for n, cell in zip(header, row, strict=True)])
        return out.getvalue().encode("utf-8")

    return delivered(rewrite)


def lines(choose: Callable[[list[bytes]], list[bytes]]) -> Inject:
    """Deliver other lines of the day's file; the header stays."""

    def rewrite(content: bytes, _: Files) -> bytes:
        header, *rows = content.splitlines(keepends=True)
        return b"".join([header, *choose(rows)])

    return delivered(rewrite)


def in_warehouse(statement: str) -> Inject:
    """Change built tables as a bug in SQL would; {day} is the run's day."""

    def inject(run: Run) -> None:
        warehouse = DuckDBWarehouse(run.home, run.spec.name)
        with warehouse.locked(), warehouse.connect(read_only=False) as connection:
            connection.execute(statement.replace("{day}", str(run.as_of)))

    return inject


def in_examples(statement: str, *parts: str) -> Inject:
    """Change the sample that models are trained on: SQL over `examples`."""

    def inject(run: Run) -> None:
        import pyarrow.parquet as pq

        for part in parts:
            path = run.step_dir("sample") / f"{part}.parquet"
            with memory() as connection:
                connection.register("examples", pq.read_table(path))
                changed = connection.sql(statement).to_arrow_table()
            with atomic_file(path) as temporary:
                pq.write_table(changed, temporary)
        write_digests(run.step_dir("sample"))  # a fault of the data, not of the disk

    return inject


def in_models(change: Callable[[float], float]) -> Inject:
    """Change every leaf value of every trained model."""

    def leaves(line: re.Match[str]) -> str:
        return "leaf_value=" + " ".join(repr(change(float(word))) for word in line[1].split())

    def inject(run: Run) -> None:
        for path in run.step_dir("train").glob("*/*/trees.txt"):
            text = re.sub(r"^leaf_value=(.*)$", leaves, path.read_text(encoding="utf-8"), flags=re.M)
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            write_digests(path.parents[1])  # the folder of the step

    return inject


def damaged(table: str) -> Inject:
    """Flip a byte of the day's landed file, as a bad disk does."""

    def inject(run: Run) -> None:
        folder = partition_dir(run.home, run.spec.source_name, table, run.as_of)
        path = next(folder.glob("*.parquet"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        with atomic_file(path) as temporary:
            temporary.write_bytes(bytes(content))

    return inject


BROKEN_MODELS = [
    Fault(
        "constant scores",
        "every leaf of the trained models is 0",
        ("predictions * score_spread", "predictions * constant_list_share", "gate model *beats*"),
        True,
        in_models(lambda _: 0.0),
        after="train",
    ),
    Fault(
        "model upside down",
        "every leaf of the trained models has the other sign",
        ("predictions * champion_*", "predictions * refit_*", "gate model *beats*"),
        True,
        in_models(lambda value: -value),
        after="train",
    ),
]
"""Models that must never be published, whatever the pipeline."""
