"""A shop's files, and a build that enters in the ledger what dbt's models would, without running dbt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from tasks.errors import BuildError
from tasks.features import build
from tasks.features.dbt_messages import ModelOutcome
from tasks.features.duckdb_warehouse import DuckDBWarehouse
from tasks.runs.run import Run
from tasks.runs.sql_lineage import PipelineSql, sql_of
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tests.tasks.handmade import RETAIL, bought_within, spec_of

# A run for 01-14 has the cuts 01-12 and 01-13, that of the next day 01-13 and 01-14.
SHOP: dict[str, Any] = {
    **RETAIL,
    "name": "shop",
    "start": "2011-01-04",
    "end": "2011-01-31",
    "label": bought_within("1d"),
    "examples": {"kind": "snapshots", "every": "1d", "train": "1d", "test": "1d"},
    "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity"]},
    "retrieval": [{"type": "popularity", "k": 5}],
}
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


MODELS = [(grain, name) for grain in ("ds", "as_of", "cut") for name in sql_of(spec_of(**SHOP)).models(grain)]


def january(number: int) -> date:
    """A day of the shop."""
    return date(2011, 1, number)


def write_files(folder: Path, last: int, first: int = 4, price: float = 2.5) -> Path:
    """Write the shop's files of some days in January: a line each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, last + 1):
        line = f"5{number:05},20001,MUG,1,{january(number)} 10:00:00,{price},12001,France"
        (folder / f"{january(number)}.csv").write_text(f"{HEADER}\n{line}\n")
    return folder


def shop_run(folder: Path, number: int, attempt: str = "1", **changes: Any) -> Run:
    """The run of a day of January, with its home and its files below a folder."""
    return Run(spec_of(**{**SHOP, **changes}), Home(folder / "home"), january(number), attempt, folder / "files")


def enter(connection: DuckDBPyConnection, names: Iterable[tuple[str, str]] = MODELS) -> None:
    """What the models' hooks do (tests/transforms/test_ledger.py runs the real ones)."""
    changed = "select ds from control.partitions where changed"
    told = {
        "ds": (changed, f"select table_name, ds, sha256 from control.partitions where ds in ({changed})"),
        "as_of": ("select as_of from control.as_of_days", "select '', as_of, digest from control.as_of_days"),
        "cut": ("select cut from control.cuts", "select '', cut, digest from control.cuts"),
    }
    for grain, name in names:
        days, entries = told[grain]
        connection.execute(f"delete from control.ledger where model = ? and day in ({days})", [name])
        connection.execute(f"insert into control.ledger select ?, * from ({entries})", [name])


def build_without_dbt(
    monkeypatch: pytest.MonkeyPatch, calls: list[list[date]], *, ends_after: int | None = None
) -> None:
    """Let builds run no dbt; each appends the feature days that it was told to build.

    Args:
        monkeypatch: what patches.
        calls: gets the days.
        ends_after: fail when so many models have entered what they made.
    """

    def run_dbt(spec: Spec, home: Home, sql: PipelineSql, log: Path) -> list[ModelOutcome]:
        with DuckDBWarehouse(home, spec.name).connect(read_only=False) as connection:
            told = connection.execute("select as_of from control.as_of_days order by 1").fetchall()
            calls.append([day for (day,) in told])
            enter(connection, MODELS[:ends_after])
        sql.write(home.root / "dbt" / spec.name / "project")
        if ends_after is not None:
            raise BuildError("labels: error: out of memory")
        return [ModelOutcome(name="labels", kind="model", status="success", seconds=0.0, rows=None, message="")]

    monkeypatch.setattr(build, "run_dbt", run_dbt)
