"""The simulated service: exact propensities, order-free days, declared dirt, something to learn."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import SourceError
from tasks.sources.simulation.logging_policy import POLICIES, draw_pages, examination, policy_weights
from tasks.sources.simulation.service import (
    CLEAN,
    Dirt,
    Service,
    active_members,
    finish_probability,
    play_probability,
    simulate,
    true_relevance,
)
from tasks.sources.simulation.source import SCHEMAS, SimulatedSource, title
from tasks.sources.simulation.world import CATEGORIES, OPENS, REGIONS, build_world, day_number

SMALL = Service(200, 60, 7, CLEAN)
DAY = date(2026, 1, 20)


def landed(
    service: Service, day: date = DAY, tables: tuple[str, ...] = SimulatedSource.tables
) -> dict[str, pd.DataFrame]:
    """Return the tables of one partition day."""
    return {name: rows.to_pandas() for name, rows in SimulatedSource(service).read(day, tables).items()}


# --- propensity


def test_pages_are_drawn_with_the_logged_propensity() -> None:
    weights = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
    draws = 200_000
    titles, propensity = draw_pages(np.tile(weights, (draws, 1)), 2, np.random.default_rng(1))
    for first, second in itertools.permutations(range(4), 2):
        here = (titles[:, 0] == first) & (titles[:, 1] == second)
        exact = weights[first] * weights[second] / (1 - weights[first])
        assert here.mean() == pytest.approx(exact, abs=4 * np.sqrt(exact / draws))
        np.testing.assert_allclose(propensity[here].prod(axis=1), exact)
    assert 4 not in titles


def test_landed_propensities_are_those_of_the_policy_given_the_titles_above() -> None:
    world, number = SMALL.world, day_number(DAY)
    shown = landed(SMALL, tables=("impressions",))["impressions"]
    pages = dict(list(shown[shown.shown_at.dt.date == DAY].groupby("request_id"))[:10])
    assert len(pages) == 10
    for page in pages.values():
        page = page.sort_values("position")
        user = np.array([int(page.user_id.iloc[0][1:]) - 1])
        policy = np.array([POLICIES.index(page.policy.iloc[0])])
        left = dict(enumerate(policy_weights(world, user, policy, number)[0]))
        assert sum(left.values()) == pytest.approx(1.0)
        for item, logged in zip(page.item_id, page.propensity, strict=True):
            index = int(item[1:]) - 1
            assert logged == pytest.approx(left[index] / sum(left.values()), rel=1e-9)
            del left[index]


@given(st.integers(0, 2**31), st.integers(2, 30))
@settings(max_examples=30, deadline=None)
def test_a_page_shows_no_title_twice_and_no_title_that_is_not_available(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.random((3, count)) * (rng.random(count) < 0.7)
    size = int((weights[0] > 0).sum())
    if size:
        titles, propensity = draw_pages(weights, size, rng)
        assert all(len(set(page)) == size for page in titles.tolist())
        assert (np.take_along_axis(weights, titles, 1) > 0).all()
        np.testing.assert_allclose(propensity[:, -1], 1.0)  # the last one left had to come


def test_examination_falls_with_position() -> None:
    np.testing.assert_allclose(examination([1, 11]), [1.0, 1 / 1.8])


# --- days


def test_days_are_the_same_in_any_order() -> None:
    days = [OPENS + timedelta(days=n) for n in (9, 3, 10, 4)]
    service = Service(100, 40, 3)
    one = SimulatedSource(service)
    forward = {day: one.read(day, one.tables) for day in sorted(days)}
    for day in days:
        alone = SimulatedSource(service).read(day, one.tables)
        assert all(alone[name].equals(forward[day][name]) for name in one.tables)


def test_tables_have_their_schema_even_when_empty() -> None:
    source = SimulatedSource(Service(1, 5, 0, CLEAN))
    for n in range(4):
        for name, rows in source.read(OPENS + timedelta(days=n), source.tables).items():
            assert rows.schema.equals(SCHEMAS[name])


def test_the_first_day_holds_everybody_so_far_and_later_days_the_changes() -> None:
    source = SimulatedSource(SMALL)
    world = SMALL.world
    first = source.read(OPENS, ["users", "items"])
    assert first["users"].num_rows == (world.members.joined <= 0).sum()
    later = [source.read(OPENS + timedelta(days=n), ["users", "items"]) for n in range(1, 500)]
    users = pd.concat([day["users"].to_pandas() for day in [first, *later]])
    assert set(users.user_id) == {f"u{n:06d}" for n in range(1, 201)}
    assert (users.groupby("user_id").joined_at.nunique() == 1).all()
    assert users.groupby("user_id").region.nunique().max() == 2
    assert set(users.region) <= set(REGIONS)
    items = pd.concat([day["items"].to_pandas() for day in [first, *later]])
    assert items.item_id.nunique() == 60
    assert set(items.category) <= set(CATEGORIES)
    assert (items.released_at > items.changed_at).any(), "titles are announced before they are released"


def test_members_act_after_joining_and_titles_after_release() -> None:
    tables = [landed(SMALL, OPENS + timedelta(days=n)) for n in range(40)]
    users = pd.concat([t["users"] for t in tables]).drop_duplicates("user_id").set_index("user_id")
    items = pd.concat([t["items"] for t in tables]).drop_duplicates("item_id").set_index("item_id")
    for rows, when in ((pd.concat([t["impressions"] for t in tables]), "shown_at"),
                       (pd.concat([t["events"] for t in tables]), "occurred_at")):  # fmt: skip
        assert (rows[when].to_numpy() > users.joined_at[rows.user_id].to_numpy()).all()
        assert (rows[when].to_numpy() >= items.released_at[rows.item_id].to_numpy()).all()


def test_a_clean_day_looks_like_a_streaming_service() -> None:
    service = Service(1000, 500, 7, CLEAN)
    tables = landed(service)
    shown, events = tables["impressions"], tables["events"]
    members = (service.world.members.joined < day_number(DAY)).sum()
    assert 0.33 < shown.request_id.nunique() / members < 0.47
    assert shown.groupby("request_id").position.agg(["min", "max", "nunique"]).eq([1, 20, 20]).all(axis=None)
    assert shown.impression_id.is_unique
    assert events.event_id.is_unique
    assert events[["user_id", "item_id"]].notna().all(axis=None)
    assert (events.known_at >= events.occurred_at).all()
    assert set(events.known_at.dt.date) == {DAY}
    plays = events[events.kind == "play"]
    assert plays.value.between(0.01, 1).all()
    assert 0.03 < (plays.value < 0.1).mean() < 0.25
    assert events[events.kind == "rating"].value.isin([1, 2, 3, 4, 5]).all()
    assert 0.05 < events.request_id.isna().mean() < 0.3, "some are found by search"
    linked = events[events.request_id.notna()]
    pairs = set(zip(shown.request_id, shown.item_id, strict=True))
    assert all(pair in pairs for pair in zip(linked.request_id, linked.item_id, strict=True))


def test_days_before_the_opening_are_refused() -> None:
    with pytest.raises(SourceError, match="logs from 2026-01-01 on; set `start: 2026-01-01` or later"):
        SimulatedSource(SMALL).partitions("events", date(2025, 12, 31), DAY)


# --- dirt


def test_dirt_comes_at_its_declared_rates() -> None:
    dirt = Dirt(duplicates=0.05, late=0.1, null_ids=0.04, impossible=0.03, future=0.02)
    source = SimulatedSource(Service(1000, 500, 7, dirt))
    events = pd.concat([source.read(OPENS + timedelta(days=n), ["events"])["events"].to_pandas() for n in range(3, 23)])
    once = events.drop_duplicates()
    assert events.event_id.duplicated().sum() == len(events) - len(once), "redelivered rows are identical"
    assert (len(events) - len(once)) / len(once) == pytest.approx(0.05, abs=0.008)
    assert once[["user_id", "item_id"]].isna().any(axis=1).mean() == pytest.approx(0.04, abs=0.008)
    plays = once[once.kind == "play"]
    assert set(plays.value[~plays.value.between(0, 1)]) == {7.3, -1.0}
    assert (~plays.value.between(0, 1)).mean() == pytest.approx(0.03, abs=0.007)
    assert (once.occurred_at > once.known_at).mean() == pytest.approx(0.02, abs=0.006)
    past = once[once.occurred_at <= once.known_at]
    days = (past.known_at.dt.normalize() - past.occurred_at.dt.normalize()).dt.days
    assert set(days) == {0, 1, 2, 3}
    assert (days > 0).mean() == pytest.approx(0.1, abs=0.03)


def test_late_rows_lie_in_the_partition_of_the_day_they_became_known_and_none_is_lost() -> None:
    source = SimulatedSource(Service(300, 60, 5, Dirt(0, 0.3, 0, 0, 0)))
    service_on_time = Service(300, 60, 5, CLEAN)
    found, expected = [], []
    for n in range(12):
        day = OPENS + timedelta(days=n)
        for name in ("impressions", "events"):
            rows = source.read(day, [name])[name].to_pandas()
            assert set(rows.known_at.dt.date) <= {day}
            found += rows.iloc[:, 0].tolist()
        if n < 9:  # what a later day delivers three days late at most
            clean = landed(service_on_time, day)
            expected += clean["impressions"].impression_id.tolist() + clean["events"].event_id.tolist()
    assert len(set(found)) == len(found)
    assert set(expected) <= set(found)


def test_changing_one_kind_of_dirt_leaves_the_day_as_it_was() -> None:
    clean = landed(SMALL)["events"]
    doubled = landed(Service(200, 60, 7, Dirt(0.5, 0, 0, 0, 0)))["events"]
    pd.testing.assert_frame_equal(doubled.drop_duplicates().reset_index(drop=True), clean)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(SourceError, match=r"dirt\.late: found .*, expected a share between 0 and 1"):
        Dirt(late=rate)


# --- truth


def test_true_relevance_is_how_often_a_title_that_is_looked_at_is_finished() -> None:
    service = Service(400, 40, 2, CLEAN)
    days = range(1, 60)
    shown, finished = [], []
    for n in days:
        day = OPENS + timedelta(days=n)
        tables = landed(service, day, ("impressions", "events"))
        page = tables["impressions"]
        truth = true_relevance(service, day, page.user_id.tolist(), page.item_id.tolist())
        shown.append((truth * examination(page.position.to_numpy())).sum())
        events = tables["events"]
        finished.append(((events.kind == "play") & (events.value >= 0.9) & events.request_id.notna()).sum())
    assert sum(finished) == pytest.approx(sum(shown), rel=4 / np.sqrt(sum(finished)))


def test_true_relevance_of_unreleased_titles_is_zero_and_unknown_ids_are_refused() -> None:
    world = SMALL.world
    coming = int(np.argmax(world.titles.released))
    day = OPENS + timedelta(days=int(world.titles.released[coming]) - 1)
    ids = [f"i{coming + 1:06d}", "i000001"]
    assert (true_relevance(SMALL, day, ["u000001"] * 2, ids) == 0).tolist() == [True, False]
    for bad in ("u000201", "x000001", "u000000", "u"):
        with pytest.raises(SourceError, match=f"no id '{bad}'; expected u000001 to u000200"):
            true_relevance(SMALL, day, [bad], ["i000001"])


def test_there_is_something_to_learn_that_the_policy_does_not_know() -> None:
    world = build_world(1000, 500, 7)
    users = active_members(world, np.random.default_rng(0), 30)
    truth = play_probability(world.appeal(users, 30)) * finish_probability(world.appeal(users, 30))
    weights = policy_weights(world, users, np.zeros(len(users), dtype=np.int64), 30)
    released = world.titles.released <= 30
    best = np.sort(truth[:, released], axis=1)[:, -20:].mean()
    popular = truth[:, np.argsort(-(truth * released).mean(axis=0))[:20]].mean()
    policy = (truth * weights).sum(axis=1).mean()
    assert policy < 0.7 * popular, "the policy explores"
    assert popular < 0.7 * best, "members differ"
    taste = world.region_taste
    assert np.corrcoef(taste)[np.triu_indices(len(REGIONS), 1)].max() < 0.9, "regions differ"


def test_names_differ_and_columns_are_of_one_length() -> None:
    assert len({title(n) for n in range(2000)}) == 2000
    rows = simulate(Service(1000, 500, 7), 5).impressions
    assert len({len(column) for column in rows.values()}) == 1
