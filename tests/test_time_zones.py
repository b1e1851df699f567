"""The machine's time zone changes no byte: files with times of many zones, landed and built in two of them."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.features.engines import warehouse_of
from tasks.operations.local_airflow.environment import bin_dir
from tasks.store.database import memory
from tasks.store.files import Home
from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, HEADER, pipeline_file, shop, tree

ZONES = ("America/New_York", "Asia/Kathmandu")
OFFSETS = ("", "Z", "+00:00", "+02:00", "-05:00", "+05:45")
TABLES = ("interactions", "rejected_rows", "feat_users", "feat_items", "feat_user_items", "labels")
AROUND_MIDNIGHT = (
    "2011-03-01T23:59:59.999999Z",
    "2011-03-01T00:00:00Z",
    "2011-03-01T00:30:00+02:00",  # the evening before
    "2011-03-01T22:00:00-05:00",  # tomorrow: rejected
    "2011-03-01T01:30:00+05:45",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose tills write their times with the offset of their place."""
    folder = shop(tmp_path_factory.mktemp("days") / "shop")
    for number, path in enumerate(sorted(folder.iterdir())):
        offset = OFFSETS[number % len(OFFSETS)]
        lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
        for line in lines:
            line[4] = line[4].replace(" ", "T") + offset
        path.write_text("\n".join([HEADER, *(",".join(line) for line in lines), ""]))
    extra = [f"5990{n},2000{n},PRODUCT,1,{when},2.5,1200{n},France" for n, when in enumerate(AROUND_MIDNIGHT)]
    with (folder / "2011-03-01.csv").open("a") as stream:
        stream.write("\n".join([*extra, ""]))
    return folder


@pytest.fixture(scope="module")
def homes(data: Path) -> list[Home]:
    """Landed and built in a time zone west of UTC, and in one east of it."""
    file = pipeline_file(data.parent, BOUGHT)

    def landed_in(zone: str) -> Home:
        home = Home(data.parent / zone.replace("/", "-"))
        env = {**os.environ, "TZ": zone, "MATINEE_HOME": str(home.root), "MATINEE_THREADS": "1"}
        for step in (["land", "--data", str(data)], ["build"]):
            command = [bin_dir() / "matinee", step[0], str(file), "--as-of", str(BOUGHT_DAY), *step[1:]]
            subprocess.run(command, env=env, check=True, capture_output=True, timeout=300)
        return home

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(landed_in, ZONES))


def contents(home: Home) -> dict[str, list[tuple[Any, ...]]]:
    with warehouse_of(home, "bought").open() as tables:
        return {name: tables.rows(f"select * from {name} order by all") for name in TABLES}


@pytest.mark.slow
def test_partitions_and_tables_are_the_same_in_every_time_zone(homes: list[Home]) -> None:
    landed = [
        {name: content for name, content in tree(home.landing("online_retail")).items() if name.endswith(".parquet")}
        for home in homes
    ]
    assert len(landed[0]) > 50
    assert landed[0] == landed[1]
    tables = [contents(home) for home in homes]
    assert min(len(rows) for rows in tables[0].values()) > 0
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_times_are_those_of_the_files_in_utc(homes: list[Home], data: Path) -> None:
    written: dict[date, list[datetime]] = {}
    for path in data.iterdir():
        times = [datetime.fromisoformat(line.split(",")[4]) for line in path.read_text().splitlines()[1:]]
        day = date.fromisoformat(path.stem)
        written[day] = sorted((t.astimezone(UTC) if t.tzinfo else t).replace(tzinfo=None) for t in times)

    folder = homes[0].landing("online_retail") / "lines"
    landed = {
        date.fromisoformat(path.parent.name.removeprefix("ds=")): sorted(
            pq.read_table(path)["invoice_date"].to_pylist()
        )
        for path in folder.glob("ds=*/*.parquet")
    }
    assert {day: times for day, times in landed.items() if times} == written


@pytest.mark.slow
def test_a_row_belongs_to_the_utc_day_on_which_it_happened(homes: list[Home]) -> None:
    with warehouse_of(homes[0], "bought").open() as tables:
        query = "select user_id, cast(occurred_at as date), ds from interactions where interaction_id like '%/5990%'"
        rows = tables.rows(query)
        rejected = tables.rows("select rule from rejected_rows where \"row\" like '%59903%'")
    days = {user: (str(day), str(ds)) for user, day, ds in rows}
    assert days == {
        "12000": ("2011-03-01", "2011-03-01"),
        "12001": ("2011-03-01", "2011-03-01"),
        "12002": ("2011-02-28", "2011-03-01"),
        "12004": ("2011-02-28", "2011-03-01"),
    }
    assert rejected == [("occurred_after_known",)]


def test_a_session_has_the_time_zone_utc_also_in_its_cursors() -> None:
    with memory() as connection:
        for session in (connection, connection.cursor()):
            query = "select cast(timestamptz '2026-03-29 23:30:00+00' as date), current_setting('TimeZone')"
            assert session.execute(query).fetchall() == [(date(2026, 3, 29), "UTC")]
