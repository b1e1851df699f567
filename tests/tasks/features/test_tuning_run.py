"""The day as of which settings are chosen, and the run they are chosen in."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.features.tuning_run import tuning_run
from tasks.runs.run import Run
from tasks.spec.spec import Spec
from tasks.spec.windows import first_as_of, landing_start, tuning_day
from tasks.store.files import Home
from tests.tasks.handmade import day, spec_of


def spec(retune: str | None = "7d") -> Spec:
    more: dict[str, Any] = {} if retune is None else {"retune": retune}
    return spec_of(tune={"trials": 2, "metric": "ndcg@10", "space": {"rounds": [2, 4]}, **more})


@given(st.integers(0, 200), st.integers(1, 30))
def test_settings_are_of_a_day_of_the_calendar_and_none_that_is_still_to_come(later: int, every: int) -> None:
    declared = spec(f"{every}d")
    as_of = first_as_of(declared) + timedelta(days=later)
    chosen = tuning_day(declared, as_of)
    assert first_as_of(declared) <= chosen <= as_of
    assert (as_of - chosen).days < every
    assert (chosen - declared.start).days % every == 0 or chosen == first_as_of(declared)
    # The day itself has settings of its own: whichever days were run before, it is no other's.
    assert tuning_day(declared, chosen) == chosen


def test_without_the_key_each_day_has_its_own() -> None:
    assert tuning_day(spec(None), day("03-05")) == day("03-05")


def test_what_is_landed_reaches_back_to_the_windows_of_that_day() -> None:
    declared = spec_of(start="2023-01-01", tune=spec().canonical()["tune"])
    as_of = date(2025, 3, 6)
    chosen = tuning_day(declared, as_of)
    assert chosen < as_of
    assert landing_start(declared, as_of) == landing_start(declared, chosen)
    assert landing_start(declared, as_of) < landing_start(spec_of(start="2023-01-01"), as_of)


def test_days_of_one_calendar_day_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def needs(spec: Spec, home: Home, days: list[date], data: Path | None) -> Any:
        class Need:
            partitions = ()

        return Need()

    monkeypatch.setattr("tasks.features.tuning_run.needed_by", needs)
    declared = spec()
    first = tuning_day(declared, day("03-05"))
    runs = [tuning_run(Run(declared, Home(tmp_path), first + timedelta(days=n), "1")) for n in (0, 6, 7)]
    assert runs[0].dir == runs[1].dir != runs[2].dir
    assert [run.as_of for run in runs] == [first, first, first + timedelta(days=7)]
    assert runs[0].dir.is_relative_to(tmp_path / "tunings" / "tiny")
    own = Run(spec(None), Home(tmp_path), day("03-05"), "1")
    assert tuning_run(own) is own
