"""What a step may say: figures as text and as fields, and counts from whatever thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.runs.narration import CURRENT, Narration, counted, counting, named, one_line, say, warn, warn_each
from tasks.runs.step_log import fields_of


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "matinee"):
        yield


@pytest.fixture
def narration() -> Iterator[Narration]:
    """A step that runs."""
    running = Narration({"pipeline": "tiny", "day": "2026-02-20", "run": "1", "step": "build"})
    before = CURRENT.set(running)
    yield running
    CURRENT.reset(before)


def heard(caplog: pytest.LogCaptureFixture) -> tuple[str, str, dict[str, Any]]:
    (record,) = caplog.records
    return record.levelname, record.getMessage(), fields_of(record)


def test_a_line_is_text_for_people_and_fields_for_programs(
    narration: Narration, caplog: pytest.LogCaptureFixture
) -> None:
    say(
        "{days:,} days{_span}, rows: {rows}, such as {names}, at {rate:.1f} %",
        days=1200, _span=" (all)", rows={"events": 3000, "titles": 4}, names=[date(2026, 2, n) for n in range(1, 8)],
        rate=1 / 3,
    )  # fmt: skip
    level, text, fields = heard(caplog)
    assert level == "INFO"
    assert text == (
        "1,200 days (all), rows: events 3,000, titles 4, such as 2026-02-01, 2026-02-02, 2026-02-03, 2026-02-04, "
        "2026-02-05 and 2 more, at 0.3 %"
    )
    assert fields == {
        "days": 1200,
        "rows": {"events": 3000, "titles": 4},
        "names": [f"2026-02-0{n}" for n in range(1, 8)],
        "rate": 0.333333,
        **narration.fields,
    }


def test_nothing_to_list_is_said(caplog: pytest.LogCaptureFixture) -> None:
    warn("{rows}; {names}", rows={}, names=[])
    assert heard(caplog)[:2] == ("WARNING", "none; none")


def test_the_fields_of_the_step_win(narration: Narration, caplog: pytest.LogCaptureFixture) -> None:
    say("{day}", day="another")
    assert heard(caplog)[1:] == ("another", narration.fields)


@given(st.text())
def test_data_cannot_begin_a_line(text: str) -> None:
    """Or a name in the data could look like a line of the log."""
    shown = one_line(text)
    assert len(shown) == len(text)
    assert shown.splitlines() in ([shown], [])


@pytest.mark.parametrize("hostile", ["a\nERROR all is lost", "{rows}", "{0.__class__}", "%s %(x)s", "\x1b[31m"])
def test_data_is_never_a_template(hostile: str, caplog: pytest.LogCaptureFixture) -> None:
    say("title {title}, {names}, {counts}", title=hostile, names=[hostile], counts={hostile: 1})
    shown = one_line(hostile)
    assert heard(caplog)[1] == f"title {shown}, {shown}, {shown} 1"


def test_many_warnings_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    warn_each([f"{n} is wrong" for n in range(20)], "checks.json")
    texts = [record.getMessage() for record in caplog.records]
    assert texts == [*(f"{n} is wrong" for n in range(8)), "and 12 more warnings: checks.json"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_counts_are_shown_from_the_outside_in(narration: Narration) -> None:
    assert narration.progress == ""
    seen = []
    for _ in counted(["a", "b"], "trials"):
        with counting("rounds", 1000) as rounds:
            rounds.done += 1
            seen.append(narration.progress)
    assert seen == ["0 of 2 trials (a), 1 of 1,000 rounds", "1 of 2 trials (b), 1 of 1,000 rounds"]
    assert narration.progress == ""


def test_what_is_not_known_yet_is_not_counted(narration: Narration) -> None:
    with counting("models", None) as count:
        assert narration.progress == "models"
        count.at = "dbt reads its project"
        assert narration.progress == "dbt reads its project"
        count.total = 3
        assert narration.progress == "0 of 3 models (dbt reads its project)"


def test_a_count_ends_with_its_loop_even_if_that_is_left(narration: Narration) -> None:
    with pytest.raises(ZeroDivisionError), counting("days", 2):
        raise ZeroDivisionError
    items = counted([1, 2], "days")
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert narration.counts == []


def test_a_thread_counts_for_its_step(narration: Narration) -> None:
    with counting("files", 2) as files:

        def write() -> None:
            files.done += 1

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert narration.progress == "1 of 2 files"


def test_outside_of_a_step_nobody_counts(caplog: pytest.LogCaptureFixture) -> None:
    assert list(counted([1, 2], "days")) == [1, 2]
    say("{rows} rows", rows=2)
    assert heard(caplog) == ("INFO", "2 rows", {"rows": 2})


def test_names_are_few() -> None:
    assert named([1, 2]) == "1, 2"
    assert named(range(1005)) == "0, 1, 2, 3, 4 and 1,000 more"
