"""Does memory depend on a day's rows, and does landing survive a kill? `python -m bench.database --rows 1000000`.

A PostgreSQL server of its own gets a table with one day of rows, which a process of its own lands. Then the same
landing is killed (SIGKILL) at random moments, from a seed, and begun again until it ends: the file must be the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from bench._results import home_of, show, table
from tasks.operations.local_airflow.postgres import Server, create, programs, running
from tasks.operations.local_airflow.sockets import private_folder
from tasks.sources.database.database_source import DatabaseSource
from tasks.sources.datasets import load_dataset
from tasks.sources.land import land_range, landed_for
from tasks.store.files import Home

VARIABLE = "BENCH_DATABASE"
DAY = date(2020, 1, 2)
# A key that the database keeps from coming twice, and one whose rows are compared with those of the days before.
TABLES = {"primary key": "primary key (id)", "no primary key": "check (id >= 0)"}
DATASET = """
name: bench
description: Events.
first_day: 2020-01-01
tables:
  events:
    from: events
    day: {column: at, unit: timestamp}
    key: [id]
    columns:
      - {name: id, type: BIGINT}
      - {name: at, type: TIMESTAMP}
      - {name: user_id, type: VARCHAR}
      - {name: value, type: DOUBLE}
"""
ROWS = """
insert into events
select n, timestamptz '2020-01-02 00:00+00' + n * interval '1 microsecond', 'user-' || mod(n, 99991), n / 7.0
from generate_series(1, %s) as n
"""


@dataclass(frozen=True)
class Landing:
    """What a process that landed the day told: bytes of its peak, seconds of wall and of its own CPU."""

    sha256: str
    rows: int
    peak: int
    wall: float
    cpu: float


def land(home: Path) -> None:
    """Land the day, and print what it took."""
    import resource

    began = time.monotonic()
    source = DatabaseSource(load_dataset("bench", home), VARIABLE)
    land_range(source, Home(home / "state"), DAY, DAY)
    (part,) = (one for one in landed_for(source, Home(home / "state"), DAY, DAY) if one.table == "events")
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    # Linux counts the peak in KiB.
    told = Landing(part.sha256, part.rows, used.ru_maxrss * 1024, time.monotonic() - began, cpu)
    print(json.dumps(vars(told)))


def command(home: Path) -> list[str]:
    """The process that lands."""
    return [sys.executable, "-m", "bench.database", "--land", str(home)]


def landed(home: Path) -> Landing:
    """Land the day in a process of its own."""
    done = subprocess.run(command(home), capture_output=True, text=True, check=True)
    return Landing(**json.loads(done.stdout.splitlines()[-1]))


def killed(home: Path, moment: float) -> bool:
    """Land the day in a process that is killed after some seconds, and tell whether it was."""
    process = subprocess.Popen(command(home), stdout=subprocess.DEVNULL)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


@contextmanager
def database(home: Path) -> Iterator[sa.Engine]:
    """Run a server, whose URL the variable has."""
    server = Server(programs(), home / "postgres", private_folder(home / "sockets", home))
    create(server)
    with running(server, dict(os.environ)):
        os.environ[VARIABLE] = server.url
        engine = sa.create_engine(server.url, poolclass=sa.NullPool)
        yield engine
        engine.dispose()


def fill(engine: sa.Engine, rows: int, key: str) -> None:
    """Make the table of a day with so many rows."""
    with engine.begin() as connection:
        connection.exec_driver_sql("drop table if exists events")
        connection.exec_driver_sql(
            f"create table events (id bigint, at timestamptz, user_id text, value float8, {key})"
        )
        connection.exec_driver_sql(ROWS % int(rows))
        connection.exec_driver_sql("create index on events (at)")
    with engine.begin() as connection:
        connection.exec_driver_sql("analyze events")


def measure(home: Path, engine: sa.Engine, rows: int, kind: str, kills: int, seed: int) -> list[str]:
    """Land a table undisturbed, then killed so many times: a row of the result."""
    fill(engine, rows, TABLES[kind])
    folders = [home / f"{rows}-{kind.split()[0]}-{name}" for name in ("undisturbed", "killed")]
    for folder in folders:
        folder.mkdir()
        (folder / "bench.yaml").write_text(DATASET)
    one = landed(folders[0])
    moments = random.Random(seed)
    died = sum(killed(folders[1], moments.uniform(0.0, one.wall)) for _ in range(kills))
    same = landed(folders[1]).sha256 == one.sha256 if kills else None
    again = "" if same is None else f"{died}: {'the same bytes' if same else 'OTHER BYTES'}"
    return [f"{rows:,}", kind, f"{one.peak / 2**20:,.0f}", f"{one.wall:,.0f}", f"{one.cpu:,.0f}", again]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; or land, in the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 1_000_000, 10_000_000])
    parser.add_argument("--kinds", nargs="+", choices=sorted(TABLES), default=sorted(TABLES))
    parser.add_argument("--kills", type=int, default=3, help="of each landing")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--home", type=Path, help="an empty folder to work in")
    parser.add_argument("--write", action="store_true", help="keep the result in bench/results/")
    parser.add_argument("--land", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.land:
        land(given.land)
        return
    with home_of(given.home) as home, database(home) as engine:
        cells = [
            measure(home, engine, rows, kind, given.kills, given.seed) for kind in given.kinds for rows in given.rows
        ]
    head = ["rows of the day", "key of the table", "peak MB", "wall s", "our CPU s", "killed, then landed"]
    told = (
        "# A day of a database\n\nOne table of four columns on PostgreSQL, landed by a process of its own: its peak "
        "memory (the smallest shows what Python and its libraries take), and its own CPU without the server's. Made by "
        f"`python -m bench.database --rows {' '.join(map(str, given.rows))} --kills {given.kills} --write`.\n\n"
    )
    show("database", told + table(head, cells), write=given.write)


if __name__ == "__main__":
    main()
