"""Kinds of interactions: what they count as, what they weigh, and what makes no sense."""

from __future__ import annotations

import math
import re
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from pydantic import ValidationError

from tasks.spec.kinds import KINDS, KNOWN, PARTS_OF_1, Interactions, WeightedKind
from tasks.spec.project import TRANSFORMS
from tests.tasks.handmade import spec_of


def declared(**kinds: Any) -> Interactions:
    return Interactions.model_validate({"kinds": kinds})


def weights(interactions: Interactions) -> dict[str, int]:
    return {kind.name: kind.parts for kind in interactions.weighted}


def test_without_a_declaration_every_action_counts_one_and_nothing_else_counts() -> None:
    assert weights(Interactions()) == {"play": 1000, "purchase": 1000, "rating": 1000, "click": 1000}
    assert (Interactions().unit, Interactions().own, Interactions().names) == (1.0, {}, KINDS)


def test_what_a_kind_counts_as_decides_what_it_weighs_unless_it_is_said() -> None:
    kinds = declared(
        purchase={"weight": 5}, list_add={"weight": 0.5}, rating={"least": 4},
        gift={}, wish={"counts_as": "save"}, refund={"counts_as": "undo"},
    )  # fmt: skip
    assert weights(kinds) == {
        "play": 1000,
        "purchase": 5000,
        "rating": 1000,
        "list_add": 500,
        "click": 1000,
        "gift": 1000,
    }
    assert kinds.own == {"gift": "action", "refund": "undo", "wish": "save"}
    assert kinds.names == (*KINDS, "gift", "refund", "wish")
    assert kinds.unit == 0.5
    assert WeightedKind("rating", 1000, "4.0e0") in kinds.weighted
    assert (kinds.least_of("rating"), kinds.least_of("gift"), kinds.least_of("play")) == (4.0, None, None)


def test_the_order_in_the_file_changes_nothing() -> None:
    one, other = declared(wish={}, gift={"weight": 2}), declared(gift={"weight": 2}, wish={})
    assert (one.own, one.names, one.weighted) == (other.own, other.names, other.weighted)
    assert list(one.own) == ["gift", "wish"]


def test_a_known_kind_may_say_what_it_counts_as_but_nothing_else() -> None:
    assert declared(play={"counts_as": "action"}).own == {}
    with pytest.raises(ValidationError, match="'play' counts as 'action' everywhere"):
        declared(play={"counts_as": "save"})


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ({"weight": -1}, "found -1, expected a weight from 0.001 to 1000"),
        ({"weight": 1000.5}, "found 1000.5, expected"),
        ({"weight": 0}, "to let it count nothing for retrieval, write a `least` above all of its values"),
        ({"weight": math.nan}, "finite"), ({"weight": "5"}, "valid number"), ({"weight": True}, "valid number"),
        ({"least": -1}, "greater than or equal to 0"), ({"least": math.nan}, "finite"),
        ({"counts_as": "undo", "least": 1}, "found a least of an undo"),
    ],
)  # fmt: skip
def test_what_is_no_weight_and_no_least_value_is_refused(kind: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        declared(gift=kind)


def test_a_spec_with_kinds_is_read_back_from_its_canonical_form() -> None:
    spec = spec_of(interactions={"kinds": {"gift": {"weight": 2.5, "counts_as": "save"}}})
    assert type(spec).model_validate(spec.canonical()) == spec
    assert spec_of().canonical()["interactions"] == {"kinds": {}}


_WEIGHTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 1_000_000), min_size=1)


@given(_WEIGHTS)
def test_weights_are_whole_parts_and_their_sums_differ_by_the_unit_at_least(parts: dict[str, int]) -> None:
    kinds = declared(**{name: {"weight": part / PARTS_OF_1} for name, part in parts.items()})
    assert {name: part for name, part in weights(kinds).items() if name in parts} == parts
    unit = round(kinds.unit * PARTS_OF_1)
    sums = {sum(chosen) for size in (0, 1, 2) for chosen in combinations(weights(kinds).values(), size)}
    assert all((one - other) % unit == 0 for one in sums for other in sums)


def test_sql_says_of_known_and_own_kinds_what_the_spec_says() -> None:
    """The macro is rendered with the variable that the build gives it."""
    text = (TRANSFORMS / "macros" / "measures.sql").read_text(encoding="utf-8").partition("{#- The measures of")[0]
    own = declared(gift={}, wish={"counts_as": "save"}, refund={"counts_as": "undo"}).own
    variables = {"own_kinds": {name: f"{measure}s" for name, measure in own.items()}}
    environment = Environment(extensions=["jinja2.ext.do"], autoescape=False)
    module: Any = environment.from_string(text, {"var": variables.__getitem__}).module
    for measure in ("action", "save", "undo"):
        said = re.findall(r"\w+", module.kinds(f"{measure}s"))
        assert sorted(said) == sorted(name for name, of in {**KNOWN, **own}.items() if of == measure)
    assert sorted(re.findall(r"\w+", module.kinds())) == sorted([*KINDS, *own])
