"""Cron expressions: what is read comes when it says; what never comes, or says something else, is refused with why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from tasks.spec.cron import check_cron

READ = [
    "@daily", "@weekly", "@monthly", "0 3 * * *", "*/60 3 * * *", "55/5 3 * * *", "0 */24 * * *", "0 0 1 */12 *",
    "0 0 * * MON-FRI", "0 0 * * fri-sun", "0 0 * * 5-0", "0 0 * JAN,jul *", "0 0 * * 1#2", "0 0 * * mon#5", "0 0 L * *",
    "0 0 * * L5", "0 0 ? * ?", "0 0 29 2 *", "0 0 31 1,2 *", "0 0 1-31/31 * *",
]  # fmt: skip
REFUSED = {
    "0 0 */400 * *": r"the day of the month '\*/400' steps by 400, expected 1 to 31",
    "*/61 * * * *": r"the minute '\*/61' steps by 61, expected 1 to 60",
    "0-9/11 * * * *": "the minute '0-9/11' steps by 11, expected 1 to 10",
    "*/0 * * * *": r"the minute '\*/0' steps by 0, expected 1 to 60",
    "0 25 * * *": "the hour '25' lies outside 0 to 23",
    "0 0 0 * *": "the day of the month '0' lies outside 1 to 31",
    "0 0 * 13 *": "the month '13' lies outside 1 to 12",
    "0 0 * * 8": "the day of the week '8' lies outside 0 to 7",
    "5-1 * * * *": "the minute '5-1' is a range that does not go up",
    "5-5 * * * *": "the minute '5-5' is a range that does not go up",
    "0 0 * * SUN-SUN": "the day of the week 'SUN-SUN' is a range that does not go up",
    "0 0 * * SUN-MON-TUE": "the day of the week 'SUN-MON-TUE' is not one",
    "0 0 * * MON#6": "the day of the week 'MON#6' is not one",
    "0 0 * * XYZ#1": "the day of the week 'XYZ#1' is not one",
    "0 0 * FEB-XYZ *": "the month 'FEB-XYZ' is not one",
    "1,,2 * * * *": "the minute '' is not one",
    "*-5 * * * *": r"the minute '\*-5' is not one",
    "9999999999 * * * *": "the minute '9999999999' is not one",
    "0 0 31 2 *": "which never comes: no month has such a day",
    "0 0 30 FEB *": "which never comes: no month has such a day",
    "0 ٣ * * *": "expected @daily, or a cron expression of five fields",
    "٠ ٣ * * *": "expected @daily, or a cron expression of five fields",
    "0 0 * * *\n": r"the day of the week '\*\\n' is not one",
    " 0 0 * * *": "expected @daily, or a cron expression of five fields",
    "0 0 * *": "expected @daily, or a cron expression of five fields",
    "@hourly": "expected @daily, or a cron expression of five fields",
    ",".join("0" for _ in range(150)) + " * * * *": "expected @daily, or a cron expression of five fields",
    "": "expected @daily, or a cron expression of five fields",
}


@pytest.mark.parametrize("text", READ)
def test_what_comes_is_read(text: str) -> None:
    assert check_cron(text) == text


@pytest.mark.parametrize("text", REFUSED)
def test_what_does_not_come_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[text]):
        check_cron(text)


numbers = st.integers(0, 70)
items = st.one_of(
    st.just("*"),
    numbers.map(str),
    numbers.map(lambda step: f"*/{step}"),
    st.tuples(numbers, numbers).map(lambda ends: f"{ends[0]}-{ends[1]}"),
    st.tuples(numbers, numbers, numbers).map(lambda parts: f"{parts[0]}-{parts[1]}/{parts[2]}"),
)


def values(item: str, most: int) -> set[int]:
    """The numbers that an item stands for, by the book."""
    span, _, step = item.partition("/")
    first, _, last = span.partition("-")
    begin, end = (0, most) if first == "*" else (int(first), int(last or first))
    return {*range(begin, end + 1, int(step or 1))}


@given(minute=items, hour=items)
def test_what_is_read_comes_at_the_times_that_it_names(minute: str, hour: str) -> None:
    text = f"{minute} {hour} * * *"
    try:
        check_cron(text)
    except ValueError as error:
        # That it comes too often is said only of what is a cron expression.
        if "several times a day" not in str(error):
            return
    times = croniter(text, datetime(2026, 1, 1, tzinfo=UTC))
    moments = [times.get_next(datetime) for _ in range(30)]
    assert {moment.minute for moment in moments} <= values(minute, 59)
    assert {moment.hour for moment in moments} <= values(hour, 23)
