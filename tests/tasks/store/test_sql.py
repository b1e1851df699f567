"""Names and values that are put into SQL stay names and values."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from tasks.store.sql import identifier, literal

TEXTS = ("plain", "it's", 'a "b"', "'; drop table users; --", "", "ümlaut\n")


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_was(text: str) -> None:
    assert duckdb.sql(f"select {literal(text)}").fetchall() == [(text,)]


@pytest.mark.parametrize("name", [text for text in TEXTS if text])
def test_a_name_comes_back_as_it_was(name: str) -> None:
    assert duckdb.sql(f"select 1 as {identifier(name)}").columns == [name]


def test_a_day_is_a_date() -> None:
    assert duckdb.sql(f"select {literal(date(2026, 2, 28))}").fetchall() == [(date(2026, 2, 28),)]
