"""The order of a draw: the same in SQL and in memory, fair to every group, another one for each seed and purpose."""

from __future__ import annotations

import hashlib
import itertools
from datetime import date
from typing import Any, get_args

import duckdb
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.examples.sampling.order import PRIME, Order, Purpose, group_hash_sql, group_hashes
from tests.tasks.handmade import day

HASHES = group_hashes((f"r{n}@u{n % 97}", day("02-01")) for n in range(40_000))
BITS = st.integers(0, 2**62 - 1) | st.sampled_from([0, PRIME, PRIME << 31, 2**62 - 1])
MULTIPLES = st.integers(1, PRIME - 1) | st.sampled_from([1, PRIME - 1])


def places(seed: int, purpose: Purpose = "sample") -> Any:
    return Order.of(seed, purpose).places(HASHES)


@given(st.lists(st.tuples(st.text(max_size=12), st.dates()), min_size=1, max_size=5))
def test_a_hash_is_62_bits_of_the_md5_of_group_and_cut(groups: list[tuple[str, date]]) -> None:
    texts = [f"{group_id}{cut.isoformat()}" for group_id, cut in groups]
    expected = [int(hashlib.md5(text.encode()).hexdigest()[:16], 16) // 4 for text in texts]
    assert group_hashes(groups).tolist() == expected
    with duckdb.connect() as connection:
        connection.execute("create table lists (n integer, group_id varchar, cut date)")
        connection.executemany("insert into lists values (?, ?, ?)", [(n, *group) for n, group in enumerate(groups)])
        rows = connection.execute(f"select {group_hash_sql('lists')} from lists order by n").fetchall()
    assert rows == [(value,) for value in expected]


@given(st.lists(BITS, min_size=1), st.builds(Order, MULTIPLES, MULTIPLES, MULTIPLES))
@example([2**62 - 1], Order(PRIME - 1, PRIME - 1, PRIME - 1))
def test_places_in_sql_and_in_memory_are_those_of_whole_numbers(hashes: list[int], order: Order) -> None:
    """No product or sum is too large for 64 bits, those of the largest halves and multiples included."""
    expected = [(order.high * (h // 2**31) + order.low * (h % 2**31) + order.shift) % PRIME for h in hashes]
    assert order.places(np.asarray(hashes, dtype=np.int64)).tolist() == expected
    with duckdb.connect() as connection:
        connection.execute("create table lists as select unnest(?::bigint[]) as h", [hashes])
        assert connection.execute(f"select {order.sql('h')} from lists").fetchall() == [(p,) for p in expected]


def test_an_order_is_a_function_of_seed_and_purpose() -> None:
    assert Order.of(7, "sample") == Order.of(7, "sample")
    orders = {Order.of(seed, purpose) for seed in range(100) for purpose in get_args(Purpose)}
    assert len(orders) == 300
    assert all(0 < part < PRIME for order in orders for part in (order.high, order.low, order.shift))
    # Whoever changes this changes every sample.
    assert Order.of(7, "sample") == Order(1723967, 1145598477, 751492605)
    assert HASHES[:2].tolist() == [793691466017780441, 117976603777727216]


def test_places_are_uniform() -> None:
    for seed in range(20):
        counts = np.histogram(places(seed), bins=20, range=(0, PRIME))[0]
        assert abs(counts - 2000).max() < 5 * np.sqrt(2000)


@pytest.mark.parametrize("purpose", ["pilot", "curve"])
def test_what_one_draw_takes_says_nothing_of_another(purpose: Purpose) -> None:
    """Places are not correlated, and of the tenth that one draw takes another takes a tenth, within 5 deviations."""
    draws = [places(seed) for seed in range(12)] + [places(seed, purpose) for seed in range(12)]
    correlations = np.corrcoef(np.asarray(draws, dtype=np.float64))
    assert abs(correlations - np.eye(len(draws))).max() < 5 / np.sqrt(len(HASHES))
    for one, other in itertools.combinations(draws, 2):
        both = np.count_nonzero((one < PRIME // 10) & (other < PRIME // 10))
        assert abs(both - 400) < 5 * 20


def test_every_group_and_every_pair_is_drawn_equally_often() -> None:
    """Of 12 groups 4 by each of 4,000 seeds: each group in 4/12 of the draws, each pair in 4·3/(12·11) of them."""
    seeds = 4_000
    taken = np.zeros((seeds, 12), dtype=bool)
    for seed in range(seeds):
        taken[seed, np.argsort(Order.of(seed, "sample").places(HASHES[:12]))[:4]] = True
    together = taken.T.astype(int) @ taken / seeds
    expected = np.where(np.eye(12, dtype=bool), 4 / 12, 4 * 3 / (12 * 11))
    assert abs(together - expected).max() < 5 * np.sqrt(0.25 / seeds)
