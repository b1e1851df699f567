"""Names of populations become names of folders, one each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.store.files import safe_name


def test_plain_names_stay_as_they_are() -> None:
    assert [slug(name) for name in ("BR", "new-members", EVERYBODY_ELSE)] == ["BR", "new-members", "everybody-else"]


def test_a_population_called_like_the_rest_has_a_folder_of_its_own() -> None:
    assert slug("everybody-else").startswith("everybody-else_")


@given(st.text(max_size=60), st.text(max_size=60))
def test_names_that_differ_stay_different_and_can_name_a_folder(one: str, other: str) -> None:
    assert safe_name(slug(one)) == slug(one)
    assert (slug(one) == slug(other)) == (one == other)
