"""An engine from Python: its lists are the engine's own, as rows."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matinee
from engine.descriptor import Request
from engine.ranking import load
from tests.engine.tiny import FEATURES, publish


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions") / "tiny"
    publish(folder)
    return folder


@pytest.fixture
def engine(folder: Path) -> matinee.Engine:
    return matinee.Engine(load(folder), folder)


def test_a_list_is_that_of_the_engine(engine: matinee.Engine, folder: Path) -> None:
    (expected,) = load(folder).rank([Request(user_id="ana", k=3)])
    table = engine.rank("ana", k=3)
    assert table["item_id"].to_pylist() == expected.items
    assert table["score"].to_pylist() == expected.scores
    assert table["title"].to_pylist() == expected.titles
    assert table["rank"].to_pylist() == [1, 2, 3]
    assert set(table["population"].to_pylist()) == {expected.population}


def test_many_users_are_one_table_in_their_order(engine: matinee.Engine) -> None:
    table = engine.rank(["stranger", "ana"], k=2)
    assert table["user_id"].to_pylist() == ["stranger", "stranger", "ana", "ana"]
    assert table.slice(2).equals(engine.rank("ana", k=2))
    assert engine.rank([], k=2).num_rows == 0
    assert (engine.knows("ana"), engine.knows("stranger")) == (True, False)


def test_an_explanation_is_the_list_with_its_features(engine: matinee.Engine) -> None:
    table = engine.explain("ana", k=3)
    assert table.select(engine.rank("ana", k=3).column_names).equals(engine.rank("ana", k=3))
    assert set(FEATURES) <= set(table.column_names)
    assert set(engine.features) <= set(table.column_names)


def test_candidates_that_are_left_out_are_said(engine: matinee.Engine) -> None:
    with pytest.warns(UserWarning, match="1 candidates that the version may not show are left out: nonsense") as said:
        table = engine.rank("ana", candidates=["i4", "nonsense", "i1"])
    assert said[0].filename == __file__, "the line that a notebook shows"
    assert sorted(table["item_id"].to_pylist()) == ["i1", "i4"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.rank("ana", candidates=["i4"], context={"region": "BR"})


def test_wrong_arguments_are_named(engine: matinee.Engine) -> None:
    for call, said in (
        (lambda: engine.rank(""), "user_id: found ''"),
        (lambda: engine.rank("ana", k=0), "k: found 0"),
        (lambda: engine.explain("ana", context={"region": 7}), "context.region: found 7"),
    ):
        with pytest.raises(matinee.MatineeError) as error:
            call()
        assert said in str(error.value)


def test_arguments_of_other_types_are_refused_and_no_text_is_taken_for_a_list(engine: matinee.Engine) -> None:
    any_engine: Any = engine
    for call, said in (
        (lambda: any_engine.rank("ana", candidates="i1"), "candidates: found 'i1', expected a list of texts, such as"),
        (lambda: any_engine.rank("ana", candidates=[1]), "candidates[0]: found 1, expected a text"),
        (lambda: any_engine.rank(5), "users: found 5, expected a list of texts"),
        (lambda: any_engine.rank(None), "users: found null"),
        (lambda: any_engine.rank("\ud800"), "which has half of a character"),
        (lambda: any_engine.rank("ana", context=5), "context: found 5, expected values by name"),
        (lambda: any_engine.rank("ana", k=True), "k: found true, expected a whole number"),
        (lambda: any_engine.rank("ana", k="3"), "k: found '3', expected a whole number"),
        (lambda: any_engine.explain(["ana"]), "user: found ['ana'], expected the id of a user"),
        (lambda: any_engine.knows(5), "user: found 5"),
    ):
        with pytest.raises(matinee.WrongArgument) as error:
            call()
        assert said in str(error.value)
    assert engine.rank("ana", k=np.int64(3)).equals(engine.rank("ana", k=3))


def test_it_says_what_it_is(engine: matinee.Engine) -> None:
    assert repr(engine) == f"<Engine of tiny, version {engine.version}>"
    assert engine.descriptor()["version"] == engine.version
    assert engine.as_of.isoformat() == engine.descriptor()["as_of"]
