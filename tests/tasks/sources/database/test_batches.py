"""A day is landed from batches, the same whatever their size, and whenever landing was killed before."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tasks.sources import spool
from tasks.sources.database import database_source
from tasks.sources.database.database_source import DatabaseSource
from tasks.sources.datasets import load_dataset
from tasks.sources.land import land_range, landed_for
from tasks.store import partitions
from tasks.store.files import Home, read_json

VARIABLE = "SHOP_DATABASE"
ROOT = Path(__file__).parents[4]
START, END = date(2020, 1, 1), date(2020, 1, 3)
KILLED = """
import os, signal, sys
from datetime import date
from importlib import import_module
from pathlib import Path
from tasks.sources.database import database_source
from tasks.sources.land import land_range
from tasks.sources.datasets import load_dataset
from tasks.store import partitions
from tasks.store.files import Home

folder, home, module, owner, name, calls = sys.argv[1:]
place = import_module(module)
place = getattr(place, owner) if owner else place
original, left = getattr(place, name), [int(calls)]

def counted(*args, **options):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **options)

setattr(place, name, counted)
database_source.AT_A_TIME, partitions.ROW_GROUP = 7, 50
source = database_source.DatabaseSource(load_dataset("shop", Path(folder)), "SHOP_DATABASE")
land_range(source, Home(Path(home)), date(2020, 1, 1), date(2020, 1, 3))
"""
MOMENTS = {
    "while rows are fetched": ("tasks.sources.spool", "Spool", "add", 20),
    "while keys of the day before are compared": ("tasks.sources.sent_before", "", "_days_of_rows", 2),
    "before the second file is begun": ("tasks.store.partitions", "", "_write", 2),
    "before a file has its name": ("tasks.store.partitions", "", "put", 1),
    "before the manifest names the file": ("tasks.store.partitions", "Manifest", "write", 2),
}


def land(folder: Path, home: Home) -> dict[tuple[str, date], tuple[str, int]]:
    """Land the days; sha256 and rejects of each partition."""
    source = DatabaseSource(load_dataset("shop", folder), VARIABLE)
    land_range(source, home, START, END)
    return {(part.table, part.ds): (part.sha256, part.rejects) for part in landed_for(source, home, START, END)}


def test_batches_of_any_size_land_the_same(sent_again: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "ROW_GROUP", 50)
    before = land(sent_again, Home(sent_again / "whole"))
    for size in (1, 7, 110, 111):
        monkeypatch.setattr(database_source, "AT_A_TIME", size)
        monkeypatch.setattr(spool, "IN_MEMORY", 1 if size == 7 else 1000 * size)
        assert land(sent_again, Home(sent_again / str(size))) == before, size
    assert sum(rejects for _, rejects in before.values()) == 20


def test_rows_that_came_the_day_before_are_told_in_every_batch(
    sent_again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_source, "AT_A_TIME", 7)
    source = DatabaseSource(load_dataset("shop", sent_again), VARIABLE)
    rows = source.read(END, ["orders"])["orders"].to_reader().read_all().to_pylist()
    # The ids of the first 250 rows, of which each day has 110 or 111, begin again on the third day.
    again = {row["id"]: row["sent_before"] for row in rows}
    assert again["o249"] is None
    assert {again[f"o{n}"] for n in range(1, 82) if n % 17 and (n + 250) % 17} == {START}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_the_same_command_lands_the_same(
    sent_again: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(partitions, "ROW_GROUP", 50)
    before = land(sent_again, Home(sent_again / "undisturbed"))
    home = Home(sent_again / "killed")
    arguments = [str(sent_again), str(home.root), *map(str, MOMENTS[moment])]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert land(sent_again, home) == before
    manifests = list(home.root.rglob("manifest.json"))
    assert {len(read_json(path)["landings"]) for path in manifests} == {1}, "nothing was landed twice"
