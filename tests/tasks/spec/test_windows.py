"""Windows of cuts: by hand, then their laws for any pipeline and day."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import SpecError
from tasks.spec.spec import Spec
from tasks.spec.windows import Windows, cuts_between, first_as_of, landing_start, oldest_cut, windows
from tests.tasks.handmade import SNAPSHOTS, day, spec_of

DAY = timedelta(days=1)


def days(*texts: str) -> tuple[date, ...]:
    return tuple(day(text) for text in texts)


def test_daily_windows_by_hand() -> None:
    # H + L = 3: the cut of 01-28 is complete on 01-31. Test 27..28; its first cut must find validation complete:
    # 23..24; the first of those must find train complete: 16..20.
    assert windows(spec_of(), day("01-31")) == Windows(
        train=days("01-16", "01-17", "01-18", "01-19", "01-20"),
        validation=days("01-23", "01-24"),
        test=days("01-27", "01-28"),
        refit=tuple(day("01-16") + n * DAY for n in range(13)),
    )


@pytest.mark.parametrize(
    ("changes", "days_back"),
    [
        ({}, 15),  # the example above: 01-16 for 01-31
        ({"examples": {"validation": "0d"}}, 11),
        (
            {"examples": SNAPSHOTS | {"anchor": "2026-01-05"}},
            32,
        ),  # 02-04 for 03-08
    ],
)
def test_no_run_reads_a_cut_that_is_older_than_its_oldest(changes: dict[str, Any], days_back: int) -> None:
    spec = spec_of(**changes)
    every_day = [first_as_of(spec) + n * DAY for n in range(100)]
    assert oldest_cut(spec) == days_back * DAY
    assert max(as_of - windows(spec, as_of).first for as_of in every_day) == days_back * DAY


def test_without_validation_the_test_follows_the_training() -> None:
    spec = spec_of(examples={"validation": "0d"})
    found = windows(spec, day("01-31"))
    assert (found.validation, found.test, found.train[-1]) == ((), days("01-27", "01-28"), day("01-24"))


def test_snapshot_windows_by_hand() -> None:
    # Cuts 01-05, 01-15, 01-25, 02-04 …; H + L = 3: as of 02-28 the last complete one is 02-24.
    spec = spec_of(examples=SNAPSHOTS | {"anchor": "2026-01-05"})
    assert windows(spec, day("02-28")) == Windows(
        train=days("02-04", "02-14"), validation=(), test=days("02-24"), refit=days("02-04", "02-14", "02-24")
    )


def test_the_calendar_of_cuts_goes_through_the_anchor_in_both_directions() -> None:
    for anchor in ("2025-12-06", "2026-01-05", "2026-03-06"):
        spec = spec_of(examples=SNAPSHOTS | {"anchor": anchor})
        assert cuts_between(spec, day("01-01"), day("01-26")) == days("01-05", "01-15", "01-25")


def test_the_calendar_begins_with_the_pipeline_when_there_is_no_anchor() -> None:
    spec = spec_of(examples=SNAPSHOTS)
    assert cuts_between(spec, date(2025, 6, 1), day("01-21")) == days("01-01", "01-11", "01-21")
    assert cuts_between(spec, day("01-02"), day("01-10")) == ()


def test_leap_days_and_year_ends_are_days_like_others() -> None:
    spec = spec_of(start="2027-12-01")
    found = windows(spec, date(2028, 3, 3))
    assert found.test == (date(2028, 2, 28), date(2028, 2, 29))
    assert windows(spec, date(2028, 1, 3)).test == (date(2027, 12, 30), date(2027, 12, 31))


def test_the_embargo_counts_the_leap_day() -> None:
    # H + L = 3: each window's last cut lies three days before the next one's first, 02-29 being one.
    found = windows(spec_of(start="2028-01-01"), date(2028, 3, 6))
    assert found.test == (date(2028, 3, 2), date(2028, 3, 3))
    assert found.validation == (date(2028, 2, 27), date(2028, 2, 28))
    assert found.train[-1] == date(2028, 2, 24)


def test_cuts_a_week_apart_go_on_over_the_year_end() -> None:
    weekly = SNAPSHOTS | {"every": "7d", "train": "14d", "test": "7d", "anchor": "2026-12-21"}
    found = cuts_between(spec_of(examples=weekly), date(2026, 12, 20), date(2027, 1, 12))
    assert found == (date(2026, 12, 21), date(2026, 12, 28), date(2027, 1, 4), date(2027, 1, 11))


def test_too_little_history_names_the_first_day_that_has_enough() -> None:
    spec = spec_of()
    assert first_as_of(spec) == day("01-23")  # a week, 5 + 3 + 2 + 3 + 2 + 3 days
    with pytest.raises(SpecError) as caught:
        windows(spec, day("01-10"))
    assert str(caught.value) == (
        "pipeline 'tiny' has too little history for 2026-01-10: the first day that can be run is 2026-01-23 "
        "(7 days of warm-up from 2026-01-01, train 2026-01-08 … 2026-01-12, validation 2026-01-15 … 2026-01-16, "
        "test 2026-01-19 … 2026-01-20, and 3 days until the last labels are complete: horizon 1d, lateness 2d); "
        "run that day or a later one, or shorten `examples`"
    )


def test_windows_that_can_never_be_filled() -> None:
    spec = spec_of(examples=SNAPSHOTS | {"train": "5d", "test": "5d"}, label={"horizon": "3d"})
    with pytest.raises(SpecError, match="no day gives every window of `examples` a cut; make them longer than"):
        first_as_of(spec)


def test_the_landing_a_run_depends_on_is_a_year_before_its_first_cut() -> None:
    spec = spec_of(start="2024-01-01")
    assert landing_start(spec, day("01-31")) == date(2025, 1, 17)  # (2026-01-16 − 365d, …]
    assert landing_start(spec_of(), day("01-31")) == day("01-01")


@st.composite
def daily(draw: st.DrawFn) -> Spec:
    examples: dict[str, Any] = {"kind": "impressions"}
    examples |= {"train": f"{draw(st.integers(1, 40))}d", "test": f"{draw(st.integers(1, 10))}d"}
    examples["validation"] = f"{draw(st.integers(0, 10))}d"
    label = {"horizon": f"{draw(st.integers(1, 30))}d", "lateness": f"{draw(st.integers(0, 5))}d"}
    return spec_of(examples=examples, label=label)


@st.composite
def snapshots(draw: st.DrawFn) -> Spec:
    every = draw(st.integers(1, 15))
    examples: dict[str, Any] = {
        "kind": "snapshots",
        "every": f"{every}d",
        "train": f"{every * draw(st.integers(1, 6))}d",
    }
    examples |= {"test": f"{every}d", "validation": f"{every * draw(st.integers(0, 1))}d"}
    examples["anchor"] = draw(st.none() | st.dates(date(2025, 1, 1), date(2027, 1, 1)))
    label = {"horizon": f"{draw(st.integers(1, 30))}d", "lateness": f"{draw(st.integers(0, 5))}d"}
    return spec_of(examples=examples, label=label)


later = st.integers(0, 400).map(lambda n: n * DAY)


@given(daily() | snapshots(), later)
def test_an_earlier_window_is_complete_when_the_next_begins(spec: Spec, after: timedelta) -> None:
    as_of = first_as_of(spec) + after
    found = windows(spec, as_of)

    filled = [window for window in (found.train, found.validation, found.test) if window]
    for earlier, later in pairwise(filled):
        assert max(earlier) + spec.lag <= min(later)
    assert all(cut + spec.lag <= as_of for cut in found.refit)
    assert all(window == tuple(sorted(set(window))) for window in (*filled, found.refit))
    assert {cut for window in filled for cut in window} <= set(found.refit)
    assert found.first == found.train[0] >= spec.start
    assert not spec.examples.validation or found.validation


@given(daily() | snapshots(), st.integers(0, 200).map(lambda n: n * DAY))
def test_the_first_day_is_the_first_and_every_later_day_has_its_windows(spec: Spec, after: timedelta) -> None:
    first = first_as_of(spec)
    assert windows(spec, first + after).first >= windows(spec, first).first
    assert windows(spec, first).first >= spec.start + timedelta(days=7)


@st.composite
def odd(draw: st.DrawFn) -> Spec:
    """Snapshots whose windows need not be whole steps of the calendar."""
    lengths = {name: f"{draw(st.integers(1, 30))}d" for name in ("every", "train", "test")}
    examples = {"kind": "snapshots", **lengths, "validation": f"{draw(st.integers(0, 20))}d"}
    examples["anchor"] = draw(st.none() | st.dates(date(2025, 1, 1), date(2027, 1, 1)))
    label = {"horizon": f"{draw(st.integers(1, 30))}d", "lateness": f"{draw(st.integers(0, 5))}d"}
    return spec_of(examples=examples, label=label)


def naive_first_as_of(spec: Spec) -> date | None:
    """Try day after day, each with all of its cuts."""
    lag, sizes = spec.lag, spec.examples
    for n in range(sizes.train + sizes.validation + sizes.test, 700):
        last = spec.start + n * DAY - lag
        test = cuts_between(spec, last - sizes.test * DAY + DAY, last)
        end = (test[0] if test else last) - lag
        validation = cuts_between(spec, end - sizes.validation * DAY + DAY, end) if sizes.validation else ()
        later = (validation or test or (last,))[0] - lag
        begin = later - sizes.train * DAY + DAY
        train = cuts_between(spec, begin, later)
        if test and train and (validation or not sizes.validation) and begin >= spec.start + timedelta(days=7):
            return spec.start + n * DAY
    return None


@given(daily() | snapshots() | odd())
def test_the_first_day_is_that_of_a_search_day_by_day(spec: Spec) -> None:
    expected = naive_first_as_of(spec)
    if expected is not None:
        assert first_as_of(spec) == expected
        return
    with pytest.raises(SpecError, match="no day gives every window of `examples` a cut"):
        first_as_of(spec)


def test_absurd_windows_are_searched_without_listing_their_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand days for each of a hundred thousand candidates would take minutes."""
    listed: list[int] = []
    monkeypatch.setattr("tasks.spec.windows.cuts_between", lambda *_: listed.append(1))
    long = {"kind": "snapshots", "every": "9000d", "anchor": "1970-01-01"} | dict.fromkeys(("train", "test"), "9999d")
    spec = spec_of(examples=long, label={"horizon": "9999d", "lateness": "9999d"}, start="2199-12-31")
    first = first_as_of(spec)
    assert first.year < 2500
    assert windows(spec, first).train
    assert not listed


@given(daily() | snapshots(), later)
def test_windows_depend_on_the_spec_and_the_day_alone(spec: Spec, after: timedelta) -> None:
    as_of = first_as_of(spec) + after
    other = Spec.model_validate({**spec.canonical(), "end": "2099-12-31", "description": "Another.", "name": "other"})
    assert windows(spec, as_of) == windows(other, as_of)


@given(daily(), later)
def test_from_day_to_day_daily_windows_move_by_one(spec: Spec, after: timedelta) -> None:
    as_of = first_as_of(spec) + after
    today, tomorrow = windows(spec, as_of), windows(spec, as_of + DAY)
    for name in ("train", "validation", "test", "refit"):
        assert tuple(cut + DAY for cut in getattr(today, name)) == getattr(tomorrow, name)


@given(snapshots(), later)
def test_cuts_of_snapshots_lie_on_one_calendar(spec: Spec, after: timedelta) -> None:
    found = windows(spec, first_as_of(spec) + after)
    every = getattr(spec.examples, "every", 1)
    anchor = getattr(spec.examples, "anchor", None) or spec.start
    assert all((cut - anchor).days % every == 0 for cut in found.refit)
    assert all((b - a).days == every for a, b in pairwise(found.refit))
