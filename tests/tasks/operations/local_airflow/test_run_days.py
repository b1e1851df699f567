"""Which days `make run` runs."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.operations.local_airflow import run_days
from tasks.operations.local_airflow.run_days import days_to_run, published_days
from tasks.spec.load import load_shape
from tasks.spec.project import TOOL
from tasks.spec.spec import Spec
from tasks.spec.windows import first_as_of
from tasks.store.files import Home

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def spec() -> Spec:
    return load_shape(TOOL / "pipelines" / "streaming.yaml").model_copy(update={"end": date(2026, 6, 30)})


def test_first_call_runs_the_first_days(spec: Spec) -> None:
    first = first_as_of(spec)
    assert days_to_run(spec, 3, None, []) == [first, first + DAY, first + 2 * DAY]


def test_next_call_runs_the_next_day(spec: Spec) -> None:
    assert days_to_run(spec, 3, None, [date(2026, 3, 4), date(2026, 3, 5)]) == [date(2026, 3, 6)]


def test_as_of_is_the_last_day(spec: Spec) -> None:
    last = first_as_of(spec) + 10 * DAY
    assert days_to_run(spec, 3, last, [date(2026, 6, 1)]) == [last - 2 * DAY, last - DAY, last]


def test_days_before_the_first_possible_one_are_left_out(spec: Spec) -> None:
    first = first_as_of(spec)
    assert days_to_run(spec, 3, first + DAY, []) == [first, first + DAY]


def test_days_end_with_the_data(spec: Spec) -> None:
    assert days_to_run(spec, 5, None, [date(2026, 6, 29)]) == [date(2026, 6, 30)]
    with pytest.raises(SpecError, match="streaming ends on 2026-06-30, and 2026-06-30 was the last one published"):
        days_to_run(spec, 3, None, [date(2026, 6, 30)])


@pytest.mark.parametrize("as_of", [date(2026, 1, 2), date(2026, 7, 1)])
def test_day_outside_is_an_error(spec: Spec, as_of: date) -> None:
    with pytest.raises(SpecError, match=f"AS_OF: found {as_of}, but streaming can be run for .* to 2026-06-30"):
        days_to_run(spec, 3, as_of, [])


def test_published_days_come_from_the_registry(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert published_days(home, "streaming") == []
    for name in ("2026-03-02.aa11", "2026-03-01.bb22", ".2026-03-09.cc33-tmp", "notes"):
        (home.registry("streaming") / "versions" / name).mkdir(parents=True)
    assert published_days(home, "streaming") == [date(2026, 3, 1), date(2026, 3, 2)]


def test_a_service_that_goes_on_is_run_up_to_yesterday(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    service, yesterday = spec.model_copy(update={"end": None}), date(2026, 3, 9)
    monkeypatch.setattr(run_days, "last_whole_day", lambda: yesterday)
    assert days_to_run(service, 3, None, [yesterday - DAY]) == [yesterday]
    with pytest.raises(SpecError, match="2026-03-09 is the last day that is over, and 2026-03-09 was the last one"):
        days_to_run(service, 3, None, [yesterday])
    with pytest.raises(SpecError, match=r"AS_OF: found 2026-03-10, but streaming can be run for .* to 2026-03-09"):
        days_to_run(service, 1, yesterday + DAY, [])
    assert days_to_run(service, 100, None, [])[-1] == yesterday
