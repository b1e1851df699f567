"""Points of a space, and the order in which they are simple."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.tuning.space import Space, order_of_complexity

SPACE = Space.of({"num_leaves": [7, 15], "learning_rate": [0.1, 0.05, 0.02]})


def test_settings_are_in_the_order_of_their_names_and_values_as_listed() -> None:
    assert (SPACE.names, SPACE.sizes, SPACE.size) == (("learning_rate", "num_leaves"), (3, 2), 6)
    assert SPACE.settings((2, 0)) == {"learning_rate": 0.02, "num_leaves": 7}
    assert type(SPACE.settings((0, 0))["num_leaves"]) is int


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_every_number_is_another_place(sizes: list[int]) -> None:
    space = Space.of({f"s{n}": list(range(size)) for n, size in enumerate(sizes)})
    places = [space.place(number) for number in range(space.size)]
    assert len(set(places)) == space.size
    assert places == sorted(places)
    assert all(at < size for place in places for at, size in zip(place, space.sizes, strict=True))


def test_places_are_simple_by_their_sum_and_then_in_order() -> None:
    places = [SPACE.place(number) for number in range(6)]
    assert sorted(places, key=order_of_complexity) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
