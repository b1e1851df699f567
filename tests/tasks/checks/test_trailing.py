"""What only earlier days can tell of a day: mixes, vanished values, keys that came before."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tasks.checks.profile_row import Profile, Sketch
from tasks.checks.suites import Suite
from tasks.checks.trailing import seen_before, with_trailing
from tests.tasks.checks.test_gx import between, suite

DAY = date(2026, 2, 10)  # a Tuesday


def mixed(*, mix: dict[str, float], day: date = DAY, rows: int = 1000) -> Profile:
    return Profile("t", day, {"rows": rows, "kind__mix": mix})


USUAL = {"play": 0.7, "save": 0.2, "rate": 0.1}
EARLIER = [mixed(mix=USUAL, day=DAY - timedelta(days=n)) for n in range(10, 0, -1)]


def mixes() -> Suite:
    return suite(*(between(f"kind__{measure}") for measure in ("mix_unusual", "mix_broken", "vanished")))


@pytest.mark.parametrize(
    ("mix", "unusual", "broken", "vanished"),
    [
        (USUAL, "none", "none", "none"),
        ({"play": 0.8, "save": 0.2}, "rate 0 % (usual: ", "none", "rate"),
        ({"play": 0.4, "save": 0.2, "rate": 0.1, "skip": 0.3}, "play 40 % (usual: ", "play 40 % (usual: ", "none"),
    ],
)
def test_a_mix_is_compared_value_by_value(mix: dict[str, float], unusual: str, broken: str, vanished: str) -> None:
    found = with_trailing(mixes(), mixed(mix=mix), EARLIER)

    assert found.measures["kind__mix_unusual"].startswith(unusual)
    assert found.measures["kind__mix_broken"].startswith(broken)
    assert found.measures["kind__vanished"] == vanished


def test_a_value_that_chance_can_leave_out_has_not_vanished() -> None:
    found = with_trailing(mixes(), mixed(mix={"play": 0.8, "save": 0.2}, rows=50), EARLIER)

    assert found.measures["kind__vanished"] == "none"


def test_a_mix_of_too_few_days_is_not_measured() -> None:
    found = with_trailing(mixes(), mixed(mix=USUAL), EARLIER[:3])

    assert found.measures["kind__mix_unusual"] is found.measures["kind__vanished"] is None


def sketch(*keys: int, below: int = 2**64 - 1) -> Sketch:
    return Sketch(below, tuple(key for key in keys if key <= below))


def test_keys_are_found_again_below_the_lower_limit_of_two_sketches() -> None:
    assert seen_before(sketch(1, 2, 3, 4), [sketch(1, 2), sketch(3)]) == 0.75
    assert seen_before(sketch(1, 2, 8, 9), [sketch(1, 9, below=4)]) == 0.5
    assert seen_before(sketch(1), []) is None


def test_the_first_days_have_fewer_days_before_them_and_count_for_nothing() -> None:
    seen = suite(between("key__seen_before_rate"), key=["id"])

    def keyed(day: date, key: int) -> Profile:
        return Profile("t", day, {"rows": 10, "key__sketch": {"below": 2**64 - 1, "hashes": [key]}})

    days = [keyed(DAY - timedelta(days=n), n) for n in range(12, 0, -1)]

    found = with_trailing(seen, keyed(DAY, 3), days)

    assert found.measures["key__seen_before_rate"] == 1.0
    assert [day for day, _ in found.histories["key__seen_before_rate"].trend] == [
        (DAY - timedelta(days=n)).isoformat() for n in range(5, 0, -1)
    ]
