"""The lists of a few users: who they are, and what is beside what."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.held_out import HeldOut
from tasks.evaluation.user_lists import LONGEST, USERS, ListedItem, Lists, UserList, user_lists
from tasks.store.files import digest
from tests.tasks.handmade import SNAPSHOTS, day, examples, group, spec_of

TITLES: dict[date, dict[str, str | None]] = {day("02-01"): {"i0": "Open Ocean", "i1": None, "i2": ""}}


def made(table: pa.Table, model: list[float], last: list[float] | None = None, **more: Any) -> tuple[UserList, ...]:
    held_out = HeldOut.of(spec_of(), table, None)
    beside = None if last is None else held_out.places(np.array(last))
    lists = Lists(held_out, held_out.places(np.array(model)), beside, more.get("titles", TITLES))
    return user_lists(lists, ["*"] * held_out.group_rows.num_rows, more.get("consumed", {}))


def test_by_hand() -> None:
    (one,) = made(examples(group("r1", "u1", [0, 3, 1])), [0.1, 0.3, 0.2], [3.0, 2.0, 1.0], consumed={0: 2})

    ocean, second, third = (
        ListedItem(item="i0", title="Open Ocean", grade=0),
        ListedItem(item="i1", title=None, grade=3),  # a table without titles has none, or empty ones
        ListedItem(item="i2", title=None, grade=1),
    )
    assert one.model == (second, third, ocean)
    assert one.last == (ocean, second, third)
    assert (one.user, one.cut, one.population, one.candidates, one.consumed) == ("u1", day("02-01"), "*", 3, 2)


def test_without_a_last_version_there_is_no_list_of_it() -> None:
    (one,) = made(examples(group("r1", "u1", [0, 1])), [1.0, 2.0], titles={})

    assert one.last is None
    assert [item.title for item in one.model] == [None, None]


def test_long_lists_are_cut() -> None:
    (one,) = made(examples(group("r1", "u1", [1] + [0] * 29)), [float(n) for n in range(30)])

    assert [item.item for item in one.model] == [f"i{n}" for n in range(29, 29 - LONGEST, -1)]
    assert one.candidates == 30


def test_the_latest_list_of_a_user_is_taken() -> None:
    early, late, other = (group(name, "u1", [1, 0]) for name in ("r9", "r1", "r0"))
    for row in [*late, *other]:
        row["cut"] = day("02-02")

    (one,) = made(examples(early, other, late), [1.0, 0.0, 1.0, 0.0, 0.0, 1.0])

    assert one.cut == day("02-02")
    assert [item.item for item in one.model] == ["i1", "i0"]  # of r1, the last by id


def test_a_user_for_whom_nothing_was_retrieved_has_an_empty_list() -> None:
    table = examples(group("u1@c", "u1", [1]))
    truth = pa.table(
        {
            "group_id": ["u1@c", "u2@c"],
            "user_id": ["u1", "u2"],
            "cut": pa.array([day("02-01")] * 2, pa.date32()),
            "item_id": ["i0", "i5"],
            "grade": [1, 1],
        }
    )
    held_out = HeldOut.of(spec_of(examples=SNAPSHOTS), table, truth)
    lists = user_lists(Lists(held_out, np.zeros(1), None, {}), ["*", "BR"], {0: 1, 1: 1})

    (lost,) = [one for one in lists if one.user == "u2"]
    assert (lost.model, lost.candidates, lost.consumed, lost.population) == ((), 0, 1, "BR")


@given(st.sets(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_users_are_those_of_the_smallest_digests_in_whatever_order_they_come(users: set[str], random: Any) -> None:
    order = list(users)
    random.shuffle(order)
    table = examples(*(group(f"r{n}", user, [1]) for n, user in enumerate(order)))

    lists = made(table, [0.0] * len(order))

    assert [one.user for one in lists] == sorted(users, key=digest)[:USERS]


@pytest.mark.parametrize("gone", ["u1", "u2", "u3", "u4"])
def test_a_user_who_goes_changes_no_other_choice_but_that_of_one(gone: str) -> None:
    users = ["u1", "u2", "u3", "u4", "u5"]

    def chosen(of: list[str]) -> set[str]:
        table = examples(*(group(f"r{n}", user, [1]) for n, user in enumerate(of)))
        return {one.user for one in made(table, [0.0] * len(of))}

    assert len(chosen(users) - chosen([user for user in users if user != gone])) <= 1
