"""Levels of drift: what noise explains, what is too small to matter, and what too little data cannot tell."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, kstwo

from tasks.monitoring.distributions import Shape, Side, load_sides, shapes, sides
from tasks.monitoring.drift import (
    LEVELS,
    DriftContext,
    DriftTest,
    FeatureDrift,
    NoiseBounds,
    drift_checks,
    level_of,
    what_shifted,
)
from tasks.store.database import memory
from tests.tasks.monitoring.test_distributions import shape

Sample = pa.Table
USERS, LISTS, ROWS, FEATURES = 120, 4, 10, 40


def drift_test(units: float, tests: int = 1) -> DriftTest:
    side = Side(rows=10, groups=10, units=dict.fromkeys(("user_id", "item_id", "group_id"), units))
    return DriftTest((side, side), tests)


def test_what_noise_reaches_is_that_of_scipy() -> None:
    noise = drift_test(500, tests=4).noise("user_id", 10)

    assert noise.psi == pytest.approx(chi2.isf(0.01 / 4, 9) * (1 / 500 + 1 / 500))
    assert noise.ks == pytest.approx(kstwo.isf(0.01 / 4, 250), rel=0.02)


def clustered(random: np.random.Generator) -> Sample:
    """Users with several lists each; the rows of a user are alike, users weigh differently."""
    owner = np.repeat(np.arange(USERS), LISTS * ROWS)
    taste = random.normal(size=(USERS, FEATURES))
    values = taste[owner] + 0.3 * random.normal(size=(len(owner), FEATURES))
    weight = random.choice([1.0, 2.5], size=USERS)[owner]
    lists = [f"g{n}" for n in np.arange(len(owner)) // ROWS]
    keys = {"user_id": [f"u{n}" for n in owner], "item_id": lists, "group_id": lists, "weight": weight}
    day = pa.array([0] * len(owner), pa.date32())
    return pa.table({**keys, "cut": day, **{f"x{n}": values[:, n] for n in range(FEATURES)}})


def test_users_who_resemble_themselves_raise_no_false_alarms() -> None:
    random = np.random.default_rng(11)
    alarms, careless, compared = {"psi": 0, "ks": 0}, 0, 0
    for _ in range(8):
        with memory() as connection:
            connection.register("before", clustered(random))
            connection.register("after", clustered(random))
            names = [f"x{n}" for n in range(FEATURES)]
            load_sides(connection, ["before", "after"], names)
            both, found = sides(connection), shapes(connection, names)
        rows = Side(0, 0, {"user_id": float(USERS * LISTS * ROWS)})
        for name in names:
            record = DriftTest(both, 1).test(name, found[name], "user_id")
            as_rows = DriftTest((rows, rows), 1).test(name, found[name], "user_id")
            alarms["psi"] += record.psi > record.psi_noise_bound
            alarms["ks"] += record.ks > record.ks_noise_bound
            careless += as_rows.ks > as_rows.ks_noise_bound
            compared += 1

    # One in a hundred is meant; 11 or more of 320 would happen once in 5,000 such tests.
    assert compared == 320
    assert max(alarms.values()) <= 10
    assert careless > 200  # had rows been taken for independent


def test_a_drift_among_many_is_seen_and_a_small_one_is_not_alarmed_at() -> None:
    random = np.random.default_rng(5)
    before, small, great = (random.normal(shift, size=40_000) for shift in (0.0, 0.05, 0.7))

    tiny = drift_test(40_000).test("x", shape(before, small), "user_id")
    assert (tiny.ks > tiny.ks_noise_bound, tiny.level) == (True, "stable")
    assert drift_test(40_000).test("x", shape(before, great), "user_id").level == "drifted"


def test_too_few_say_so() -> None:
    record = drift_test(12, tests=50).test("x", shape([1, 2, 3, 4] * 3, [1, 2, 3, 3] * 3), "user_id")

    assert record.level == "too_few"
    assert record.note is not None
    assert record.note.startswith("too few users to tell: with 12 and 12 independent ones, noise alone reaches")


def test_few_that_have_all_shifted_have_drifted() -> None:
    record = drift_test(12, tests=50).test("x", shape([1, 2, 3] * 4, [100, 200, 300] * 4), "user_id")

    assert record.level == "drifted"
    assert record.sentence == "median 2 -> 200"


def test_a_window_that_warms_up_has_not_drifted() -> None:
    record = drift_test(1000).test("x", shape([0] * 99 + [1], [5] * 100), "user_id", warming_up=True)

    assert record.level == "warming_up"
    assert "grows by itself" in (record.note or "")


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.05, "stable"), (0.07, "shifted"), (0.1, "drifted"), (0.0, "drifted")]
)
def test_a_rare_label_is_compared_as_a_ratio(rate: float, expected: str) -> None:
    before, after = ([0.0] * round(1000 * (1 - p)) + [1.0] * round(1000 * p) for p in (0.05, rate))

    record = drift_test(5000).label(shape(before, after), (0.05, rate))

    assert record.level == expected
    assert record.sentence.startswith("positive examples 5 % -> ")
    assert "bins" not in record.to_json()


def test_few_lists_do_not_move_the_label_rate() -> None:
    before, after = [0.0] * 19 + [1.0], [0.0] * 18 + [1.0] * 2

    assert drift_test(20).label(shape(before, after), (0.05, 0.1)).level == "too_few"


def test_a_share_is_named_where_the_median_stays() -> None:
    assert what_shifted(shape([0] * 9 + [1], [0] * 7 + [1] * 3)) == "share above 0: 10 % -> 30 %"


def drifted(name: str) -> FeatureDrift:
    return drift_test(5000).test(name, shape([1, 2, 3] * 100, [4, 5, 6] * 100), "user_id")


def context(acknowledged: dict[str, str] | None = None, *, again: bool = False) -> DriftContext:
    return DriftContext(date(2026, 2, 28), Path("sample"), acknowledged or {}, again)


def test_features_that_drift_warn_together_and_each_is_recorded() -> None:
    together, one, other = drift_checks([drifted("item_ctr_7d"), drifted("als_score")], context())

    assert together.words() == (
        "examples, 2026-02-28: drift of features: item_ctr_7d: median 2 -> 5; als_score: median 2 -> 5, "
        "expected no feature that drifts, unless the pipeline file acknowledges it"
    )
    assert [(c.column, c.severity, c.success) for c in (together, one, other)] == [
        ("features__drift", "warning", False),
        ("item_ctr_7d__drift", "info", False),
        ("als_score__drift", "info", False),
    ]
    assert one.words().startswith("examples, 2026-02-28: drift of item_ctr_7d: median 2 -> 5 (PSI ")
    assert one.words().endswith("expected a PSI below 0.10 and a KS distance below 0.12")


def test_what_is_acknowledged_or_no_news_warns_nobody() -> None:
    for known, again in (({"als_score": "It is fitted anew."}, False), ({}, True)):
        together, one = drift_checks([drifted("als_score")], context(known, again=again))
        assert (together.success, one.success, one.severity) == (True, False, "info")


def test_scores_and_labels_warn_for_themselves() -> None:
    together, score, label = drift_checks([drifted("model score"), drifted("label")], context())

    assert together.success
    assert [(c.table, c.column, c.severity) for c in (score, label)] == [
        ("predictions", "model_score__drift", "warning"),
        ("examples", "label__drift", "warning"),
    ]


POSITIVE = st.floats(0, 3)


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE)
def test_a_greater_distance_is_never_a_lower_level(psi: float, ks: float, psi_chance: float, ks_chance: float) -> None:
    noise = NoiseBounds(psi_chance, ks_chance)
    first = level_of(psi, ks, noise)
    for more in (level_of(psi + 0.1, ks, noise), level_of(psi, ks + 0.1, noise)):
        assert LEVELS.index(first) <= LEVELS.index(more)


def test_bins_of_one_value_have_a_chance_too() -> None:
    constant = Shape((1.0,), (1.0, 0.0), (1.0, 0.0), 0.0, 1.0, (1.0, 1.0), (1.0, 1.0))

    assert drift_test(100).test("x", constant, "item_id").level == "stable"
