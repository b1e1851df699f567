"""The lists of a few users as the evaluated model and the last version make them, with what the users consumed.

The users are those of the held-out groups whose ids have the smallest digests: an arbitrary choice, yet the same
whoever makes it, and mostly the same from day to day. Of each it is the latest list.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tasks.evaluation.held_out import HeldOut
from tasks.store.files import digest
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

USERS = 3
LONGEST = 10
"""Places of a list that are kept."""


class ListedItem(Record):
    """A place of a list: the item, its title as of the cut if it has one, and its grade, above 0 if it was consumed."""

    item: str
    title: str | None
    grade: int


class UserList(Record):
    """One user's latest held-out list.

    Attributes:
        user: whose it is.
        cut: day as of which it is made.
        population: whose model ranks it.
        candidates: items that could be listed.
        consumed: items that the user then consumed, whether they are candidates or not.
        model: the first places of the evaluated model's list.
        last: those of the last version's list; None where that cannot score it.
    """

    user: str
    cut: date
    population: str
    candidates: int
    consumed: int
    model: tuple[ListedItem, ...]
    last: tuple[ListedItem, ...] | None


@dataclass(frozen=True, eq=False)
class Lists:
    """What the lists are made of.

    Attributes:
        held_out: the test examples.
        model: place of each example in the evaluated model's list, from 0.
        last: place in that of the last version, if there is one that can score them.
        titles: by cut, those of the items known then.
    """

    held_out: HeldOut
    model: Floats
    last: Floats | None
    titles: Mapping[date, Mapping[str, str | None]]

    def first(self, group: int, places: Floats) -> tuple[ListedItem, ...]:
        """The first items of a group's list."""
        begin, end = self.held_out.offsets[group : group + 2].tolist()
        rows = self.held_out.table.slice(begin, end - begin).select(["item_id", "cut", "grade"]).to_pylist()
        ordered = sorted(zip(places[begin:end].tolist(), rows, strict=True), key=lambda pair: pair[0])
        return tuple(
            ListedItem(
                item=row["item_id"],
                # A table of items without titles has empty ones.
                title=self.titles.get(row["cut"], {}).get(row["item_id"]) or None,
                grade=row["grade"],
            )
            for _, row in ordered[:LONGEST]
        )


def user_lists(lists: Lists, populations: Sequence[str], consumed: Mapping[int, int]) -> tuple[UserList, ...]:
    """Make the lists of the chosen users.

    Args:
        lists: what they are made of.
        populations: of each group, whose model ranks it.
        consumed: how many items were consumed, by group.
    """
    rows = lists.held_out.group_rows
    users, cuts, ids = (rows[name].to_pylist() for name in ("user_id", "cut", "group_id"))
    chosen = heapq.nsmallest(USERS, set(users), key=digest)
    # Of several lists of a cut the last by id: any is as good, and this is the same one every time.
    latest = [max((cuts[n], ids[n], n) for n, other in enumerate(users) if other == user)[2] for user in chosen]
    return tuple(
        UserList(
            user=users[group],
            cut=cuts[group],
            population=str(populations[group]),
            candidates=int(lists.held_out.offsets[group + 1] - lists.held_out.offsets[group]),
            consumed=consumed.get(group, 0),
            model=lists.first(group, lists.model),
            last=None if lists.last is None else lists.first(group, lists.last),
        )
        for group in latest
    )
