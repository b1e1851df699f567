"""Answers of commands on the terminal."""

from __future__ import annotations

import pytest

from tasks.cli.render.result import why_short
from tests.tasks.handmade import spec_of


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ("keep", "retrieval has no more candidates for this user"),
        ("exclude", "those that the user has seen are left out (`candidates: {seen: exclude}`)"),
        ("only", "only those that the user has seen are listed (`candidates: {seen: only}`)"),
    ],
)
def test_a_list_that_is_shorter_than_asked_for_says_why(seen: str, reason: str) -> None:
    spec = spec_of(candidates={"seen": seen})
    said = why_short(spec, 7, 10)
    assert said is not None
    assert said.startswith("7 of 10 places: ")
    assert said.endswith(reason)
    assert why_short(spec, 10, 10) is None
