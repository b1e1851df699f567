"""Every way to share out a weight, and their order."""

from __future__ import annotations

import math

import pytest

from tasks.examples.shares import PARTS, evenest_first, shared_out


@pytest.mark.parametrize(("members", "parts"), PARTS.items())
def test_every_way_to_share_out_is_tried_once(members: int, parts: int) -> None:
    ways = list(shared_out(members))
    assert len(ways) == len(set(ways)) == math.comb(parts + members - 1, members - 1)
    assert all(min(way) >= 0 and sum(way) == pytest.approx(1.0) for way in ways)
    assert sorted(evenest_first(members)) == sorted(ways)


def test_even_shares_come_first_and_of_equal_ones_those_of_the_first_members() -> None:
    assert evenest_first(2)[:3] == [(0.5, 0.5), (0.55, 0.45), (0.45, 0.55)]
    assert evenest_first(5)[0] == pytest.approx((0.2,) * 5)
    assert evenest_first(3)[-1] == (0.0, 0.0, 1.0)
