"""Landing: immutable partitions, found unchanged cheaply, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import LandingError, SourceError
from tasks.sources.land import land, land_day, land_range, land_step, landed_for, open_source
from tasks.sources.simulation.service import Service
from tasks.sources.simulation.source import SimulatedSource
from tasks.store.files import Home, digest, read_json, sha256_file
from tasks.store.partitions import partition_dir, read_manifests, store

DAY = date(2026, 1, 1)
ROOT = Path(__file__).parents[3]


class Numbers:
    """A source whose day holds the numbers it is told."""

    name = "numbers"
    tables: tuple[str, ...] = ("numbers",)

    def __init__(self, days: dict[date, list[int]]) -> None:
        self.days = days
        self.reads: list[date] = []

    def partitions(self, table: str, start: date, end: date) -> list[date]:
        return [start + timedelta(days=n) for n in range((end - start).days + 1)]

    def inputs(self, table: str, day: date) -> str:
        return digest(self.days.get(day, []))

    def read(self, day: date, tables: Iterable[str]) -> dict[str, pa.Table]:
        self.reads.append(day)
        if day not in self.days:
            raise SourceError(f"no file for {day}")
        return {"numbers": pa.table({"n": pa.array(self.days[day], pa.int64())})}


def day(n: int) -> date:
    return DAY + timedelta(days=n)


def content(home: Home) -> dict[str, bytes]:
    """Return all files of the landing."""
    return {str(p.relative_to(home.root)): p.read_bytes() for p in home.root.rglob("*") if p.is_file()}


def test_a_day_becomes_a_parquet_file_that_its_manifest_describes(home: Home) -> None:
    (landed,) = land_day(Numbers({DAY: [3, 1, 2]}), home, DAY)
    manifest = read_json(landed.path.parent / "manifest.json")
    (entry,) = manifest["landings"]
    assert landed.path.parent == home.root / "landing/numbers/numbers/ds=2026-01-01"
    assert manifest["current"] == entry["file"] == f"{entry['sha256'][:16]}.parquet" == landed.path.name
    assert entry["sha256"] == sha256_file(landed.path) == landed.sha256
    assert (entry["rows"], entry["bytes"], entry["rejects"]) == (3, landed.path.stat().st_size, 0)
    assert duckdb.sql(f"select n from '{landed.path}'").fetchall() == [(3,), (1,), (2,)]


def test_the_same_day_again_changes_no_byte_and_reads_no_input(home: Home) -> None:
    source = Numbers({DAY: [1], day(1): []})
    first = land_range(source, home, DAY, day(1))
    before = content(home)
    again = land_range(source, home, DAY, day(1))
    assert content(home) == before
    assert ([part.new for part in first.landed], first.unchanged) == ([True, True], 0)
    assert (again.landed, again.unchanged, source.reads) == ((), 2, [DAY, day(1)])


def test_a_day_without_rows_is_a_partition_with_the_full_schema(home: Home) -> None:
    (landed,) = land_day(Numbers({DAY: []}), home, DAY)
    assert landed.rows == 0
    assert duckdb.sql(f"describe select * from '{landed.path}'").fetchall()[0][:2] == ("n", "BIGINT")


def test_other_bytes_for_a_landed_day_are_a_new_landing_beside_the_old_file(home: Home) -> None:
    source = Numbers({DAY: [1]})
    (old,) = land_day(source, home, DAY)
    source.days[DAY] = [1, 2]
    (new,) = land_range(source, home, DAY, DAY).landed
    assert old.path.exists()
    assert [part.path for part in read_manifests(home, "numbers", ["numbers"], DAY, DAY)] == [new.path]
    source.days[DAY] = [1]
    land_range(source, home, DAY, DAY)
    manifest = read_json(new.path.parent / "manifest.json")
    assert [entry["rows"] for entry in manifest["landings"]] == [1, 2, 1], "the history is kept"
    assert manifest["current"] == old.path.name


def test_other_inputs_that_give_the_same_bytes_are_no_new_landing(home: Home) -> None:
    rows = pa.table({"n": [1]})
    folder = partition_dir(home, "numbers", "numbers", DAY)
    assert store(folder, rows, inputs="reader 1").new
    assert not store(folder, rows, inputs="reader 2").new
    manifest = read_json(folder / "manifest.json")
    assert (len(manifest["landings"]), manifest["inputs"]) == (1, "reader 2")


@given(st.permutations(list(range(4))), st.lists(st.integers(0, 3), max_size=3))
@settings(max_examples=6)
def test_any_order_with_repeats_lands_the_same_bytes(order: list[int], repeats: list[int]) -> None:
    import tempfile

    source = SimulatedSource(Service(20, 20, 1))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        land_range(source, Home(Path(one)), DAY, day(3))
        for n in [*order, *repeats]:
            land_day(SimulatedSource(Service(20, 20, 1)), Home(Path(other)), day(n))
        land_range(source, Home(Path(other)), DAY, day(3))
        parts = [landed_for(source, Home(Path(root)), DAY, day(3), verify=True) for root in (one, other)]
        assert [(p.table, p.ds, p.sha256) for p in parts[0]] == [(p.table, p.ds, p.sha256) for p in parts[1]]
        assert len(parts[0]) == 16


def test_a_source_that_fails_keeps_the_days_before(home: Home) -> None:
    source = Numbers({DAY: [1], day(2): [1]})
    with pytest.raises(SourceError, match="no file for 2026-01-02"):
        land_range(source, home, DAY, day(2))
    assert [p.ds for p in read_manifests(home, "numbers", ["numbers"], None, day(9))] == [DAY]


CRASH = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
import tasks.store.partitions as partitions
from tasks.store.files import Home
from datetime import date
partitions.Manifest.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # the moment between file and manifest
partitions.store(Path(sys.argv[1]), pa.table({"n": [1, 2]}), inputs="new")
"""


def test_killed_between_file_and_manifest_the_old_state_is_left(home: Home) -> None:
    source = Numbers({DAY: [1]})
    (old,) = land_day(source, home, DAY)
    killed = subprocess.run([sys.executable, "-c", CRASH, str(old.path.parent)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(old.path.parent.glob("*.parquet"))) == 2, "the new file lay there already"
    assert [p.path for p in read_manifests(home, "numbers", ["numbers"], DAY, DAY, verify=True)] == [old.path]
    source.days[DAY] = [1, 2]
    (new,) = land_range(source, home, DAY, DAY).landed
    assert (new.rows, new.new) == (2, True)


def test_a_truncated_parquet_is_named_and_landing_again_mends_it(home: Home) -> None:
    source = Numbers({DAY: list(range(100))})
    (landed,) = land_day(source, home, DAY)
    whole = landed.path.read_bytes()
    landed.path.write_bytes(whole[:-10])
    with pytest.raises(
        LandingError, match=rf"{landed.path.name}: found {len(whole) - 10} bytes, expected {len(whole)}"
    ):
        read_manifests(home, "numbers", ["numbers"], DAY, DAY)
    land_range(source, home, DAY, DAY)
    assert landed.path.read_bytes() == whole
    assert len(read_json(landed.path.parent / "manifest.json")["landings"]) == 1


def test_a_changed_byte_is_found_by_its_checksum(home: Home) -> None:
    (landed,) = land_day(Numbers({DAY: [1]}), home, DAY)
    changed = bytearray(landed.path.read_bytes())
    changed[10] ^= 1
    landed.path.write_bytes(changed)
    assert read_manifests(home, "numbers", ["numbers"], DAY, DAY)
    with pytest.raises(LandingError, match=f"found sha256 .*, expected {landed.sha256}: changed; delete"):
        read_manifests(home, "numbers", ["numbers"], DAY, DAY, verify=True)


def test_a_missing_file_a_torn_manifest_and_a_day_not_landed_are_named(home: Home) -> None:
    source = Numbers({DAY: [1], day(1): [2]})
    landed, other = land_range(source, home, DAY, day(1)).landed
    landed.path.unlink()
    with pytest.raises(LandingError, match=r"missing, though .*manifest.json names it"):
        read_manifests(home, "numbers", ["numbers"], DAY, DAY)
    land_range(source, home, DAY, DAY)
    with pytest.raises(LandingError, match="not landed: 1 day, the first is 2026-01-03"):
        landed_for(source, home, DAY, day(2))
    manifest = other.path.parent / "manifest.json"
    for torn in (manifest.read_text()[:-40], json.dumps({"landings": []}), "[]"):
        manifest.write_text(torn)
        with pytest.raises(LandingError, match=r"manifest\.json: .* delete this file and run"):
            read_manifests(home, "numbers", ["numbers"], DAY, day(1))


def test_leftovers_of_a_killed_write_are_no_partition(home: Home) -> None:
    folder = partition_dir(home, "numbers", "numbers", DAY)
    folder.mkdir(parents=True)
    (folder / "0123456789abcdef.parquet").write_bytes(b"PAR1")
    assert read_manifests(home, "numbers", ["numbers"], DAY, DAY) == []


def test_progress_counts_the_days_that_have_to_be_landed(home: Home) -> None:
    seen: list[tuple[int, int, date]] = []
    source = Numbers({day(n): [n] for n in range(4)})
    land_day(source, home, day(1))
    land_range(source, home, DAY, day(3), progress=lambda *step: seen.append(step))
    assert seen == [(1, 3, DAY), (2, 3, day(2)), (3, 3, day(3))]


def spec(**source: Any) -> Any:
    return SimpleNamespace(name="p", source=SimpleNamespace(**source))


def test_land_takes_the_source_that_a_pipeline_names(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = land(spec(type="simulated", users=20, items=20, seed=1), home, DAY, day(1))
    assert result.source == "simulated-20x20-1"
    assert set(result.rows) == {"users", "items", "impressions", "events"}
    files = spec(type="files", dataset="online_retail")
    with pytest.raises(
        SourceError, match=r"data/online_retail: no such folder; .*--data or MATINEE_DATA_ONLINE_RETAIL"
    ):
        land(files, home, date(2010, 12, 1), date(2010, 12, 1))
    monkeypatch.setenv("MATINEE_DATA_ONLINE_RETAIL", str(tmp_path))
    assert open_source(files, home).name == "online_retail"


def test_the_step_lands_the_lookback_and_says_the_same_whenever_it_is_run(home: Home) -> None:
    run: Any = SimpleNamespace(
        spec=spec(type="simulated", users=20, items=20, seed=1),
        home=home, as_of=day(3), data=None, landing_start=day(2),
        write=lambda _: nullcontext(SimpleNamespace(result=None)),
    )  # fmt: skip
    first = land_step(run)
    land(run.spec, home, DAY, day(9))
    assert land_step(run) == first
    assert first.partitions == {"users": 4, "items": 4, "impressions": 2, "events": 2}
    assert first.rows["impressions"] > first.rows_of_day["impressions"] > 0


def test_two_processes_landing_at_once_land_each_day_once(home: Home) -> None:
    code = (
        "from pathlib import Path; from datetime import date; import sys\n"
        "from tasks.store.files import Home; from tasks.sources.land import land_range\n"
        "from tasks.sources.simulation.source import SimulatedSource\n"
        "from tasks.sources.simulation.service import Service\n"
        "land_range(SimulatedSource(Service(20, 20, 1)), Home(Path(sys.argv[1])), date(2026,1,1), date(2026,1,6))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(home.root)], cwd=ROOT, env={**os.environ}) for _ in "ab"]
    assert [one.wait() for one in both] == [0, 0]
    for manifest in home.root.rglob("manifest.json"):
        assert len(read_json(manifest)["landings"]) == 1


def test_a_folder_for_a_simulated_source_is_refused(home: Home, tmp_path: Path) -> None:
    spec = SimpleNamespace(name="streaming", source=SimpleNamespace(type="simulated", users=10, items=20, seed=1))
    with pytest.raises(SourceError, match="the source of this pipeline is simulated and reads no folder"):
        open_source(spec, home, tmp_path)  # type: ignore[arg-type]  # the spec is made by hand
