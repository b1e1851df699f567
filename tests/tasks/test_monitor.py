from __future__ import annotations

import math
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import MatineeError
from tasks.home import Home, read_json
from tasks.monitor import compare, level, monitor_step
from tests.tasks.checking import FakeRun


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return FakeRun(Home(tmp_path))


def write(run: FakeRun, part: str, f_one: str, *, weight: str = "1.0", lists: int = 1000) -> None:
    folder = run.step_dir("sample")
    folder.mkdir(parents=True, exist_ok=True)
    duckdb.sql(
        f"""
        copy (select 'g' || i as group_id, date '2026-02-01' + (i % 2)::integer as cut, (i % 4 = 0)::tinyint as grade,
                     ({weight})::double as weight, ({f_one})::float as f_one, 1::float as f_two
              from range({lists}) n(i)) to '{folder / part}.parquet' (format parquet)
        """
    )


def test_the_same_world_is_stable(run: FakeRun) -> None:
    write(run, "train", "i % 100")
    write(run, "test", "(i * 7) % 100")

    assert monitor_step(run) == {"compared": 2, "moved": [], "drifted": [], "problem": None}  # type: ignore[arg-type]


def test_a_feature_in_another_unit_has_drifted(run: FakeRun) -> None:
    write(run, "train", "i % 100")
    write(run, "test", "(i % 100) * 100")

    assert monitor_step(run)["drifted"] == ["f_one"]  # type: ignore[arg-type]


def test_psi_of_two_bins_by_hand(run: FakeRun) -> None:
    write(run, "train", "(i % 2)", lists=100_000)  # half 0, half 1
    write(run, "test", "(i % 4 = 0)::int", lists=100_000)  # three quarters 0

    (first, second) = compare(run.step_dir("sample"), ("f_one", "f_two"))["features"]

    assert first["feature"] == "f_one"
    assert first["psi"] == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5), abs=1e-4)
    assert second["psi"] == pytest.approx(0.0, abs=1e-12)


def test_weights_undo_the_sampling(run: FakeRun) -> None:
    write(run, "train", "(i % 10 < 5)::int", weight="case when i % 10 < 5 then 1 else 9 end")  # 10 % ones
    write(run, "test", "(i % 10 = 0)::int")

    assert monitor_step(run)["drifted"] == []  # type: ignore[arg-type]


def test_a_few_lists_do_not_alarm_by_chance(run: FakeRun) -> None:
    write(run, "train", "i % 100")
    write(run, "test", "i * 3", lists=12)

    assert monitor_step(run)["drifted"] == []  # type: ignore[arg-type]


def test_label_rate_by_cut(run: FakeRun) -> None:
    write(run, "train", "i")
    write(run, "test", "i")

    monitor_step(run)  # type: ignore[arg-type]

    rates = read_json(run.step_dir("monitor") / "psi.json")["label_rate"]
    assert [(r["cut"], r["part"], r["groups"], r["rate"]) for r in rates] == [
        ("2026-02-01", "test", 500, 0.5),
        ("2026-02-01", "train", 500, 0.5),
        ("2026-02-02", "test", 500, 0.0),
        ("2026-02-02", "train", 500, 0.0),
    ]


def test_without_a_sample_the_problem_is_recorded(run: FakeRun) -> None:
    result = monitor_step(run)  # type: ignore[arg-type]

    assert "nothing to compare" in result["problem"]
    assert read_json(run.step_dir("monitor") / "result.json") == result


def test_a_missing_feature_is_a_problem_not_a_crash(run: FakeRun) -> None:
    write(run, "train", "i")
    write(run, "test", "i")

    with pytest.raises(MatineeError, match="cannot be compared"):
        compare(run.step_dir("sample"), ("f_three",))


@given(st.floats(0, 10), st.floats(0, 10))
def test_a_greater_psi_is_never_a_lower_level(psi: float, chance: float) -> None:
    order = ["stable", "moved", "drifted"]

    assert order.index(level(psi, chance)) <= order.index(level(psi + 0.1, chance))
