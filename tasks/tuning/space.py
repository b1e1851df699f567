"""The space of settings: for each setting a list of values, from simple to complex."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = int | float | str
Settings = dict[str, Value]
Place = tuple[int, ...]
"""The place of each setting's value in its list, in the order of the settings' names."""


@dataclass(frozen=True)
class Space:
    """All points that could be tried.

    Attributes:
        names: of the settings, in their order.
        values: the list of each.
    """

    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]

    @classmethod
    def of(cls, lists: Mapping[str, Sequence[Value]]) -> Space:
        """Take the lists of a pipeline file."""
        names = tuple(sorted(lists))
        return cls(names, tuple(tuple(lists[name]) for name in names))

    @property
    def size(self) -> int:
        """How many points there are."""
        return math.prod(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many values each setting has."""
        return tuple(len(values) for values in self.values)

    def settings(self, place: Place) -> Settings:
        """The settings at a place."""
        return {name: values[at] for name, values, at in zip(self.names, self.values, place, strict=True)}

    def place(self, number: int) -> Place:
        """The place of a point by its number, the last setting's value changing first."""
        places = []
        for size in reversed(self.sizes):
            number, at = divmod(number, size)
            places.append(at)
        return tuple(reversed(places))


def order_of_complexity(place: Place) -> tuple[int, Place]:
    """What places are ordered by, simplest first: the sum of them, then the places themselves."""
    return sum(place), place
