"""What `matinee inspect` says of a version small enough to check by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from engine.descriptor import Request
from engine.functions.load import Blend, Weighted
from engine.ranking import Engine, load
from tasks.cli.render.inspected import render_inspection
from tasks.errors import WrongArgument
from tasks.operations.terminal import plain_console
from tasks.publishing.inspection import Question, inspect_engine
from tasks.publishing.tree_inspection import describe
from tests.engine import tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.publish(tmp_path_factory.mktemp("version") / "v")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Engine:
    return load(folder)


def test_every_population_has_its_function_and_the_share_of_each_feature(engine: Engine, folder: Path) -> None:
    found = inspect_engine(engine, folder, Question())
    functions = {one.population: one.function for one in found.populations}
    assert functions == {"*": "10 trees of at most 7 leaves, at most 5 deep", "BR": "Linear"}
    for population in found.populations:
        assert sorted(one.feature for one in population.features) == sorted(tiny.FEATURES)
        assert sum(one.share for one in population.features) == pytest.approx(1.0)
        assert [one.mean for one in population.features] == sorted(one.mean for one in population.features)[::-1]
    assert inspect_engine(engine, folder, Question()) == found, "the same for every call"


def test_a_user_s_items_have_the_scores_of_the_list_and_contributions_that_add_up(engine: Engine, folder: Path) -> None:
    explained = inspect_engine(engine, folder, Question(user="ana", k=3)).explained
    assert explained is not None
    response = engine.rank([Request(user_id="ana", k=3)])[0]
    assert [(one.item, one.score) for one in explained.items] == list(zip(response.items, response.scores, strict=True))
    for one in explained.items:
        total = explained.base + sum(part.contribution for part in one.contributions)
        assert total == pytest.approx(one.score)
    values = {part.feature: part.value for part in explained.items[0].contributions}
    assert values.get("user_plays_28d") is None, "missing in the table"


def test_one_item_has_the_contributions_that_it_has_in_the_list(engine: Engine, folder: Path) -> None:
    listed = inspect_engine(engine, folder, Question(user="ana", k=3)).explained
    assert listed is not None
    found = inspect_engine(engine, folder, Question(user="ana", item=listed.items[1].item))
    assert found.explained is not None
    assert found.explained.items == (listed.items[1],)
    assert found.similar == ()
    with pytest.raises(WrongArgument, match="--item: 'i5' is not available as of 2026-02-28"):
        inspect_engine(engine, folder, Question(user="ana", item="i5"))


def test_a_stranger_is_explained_too(engine: Engine, folder: Path) -> None:
    explained = inspect_engine(engine, folder, Question(user="stranger")).explained
    assert explained is not None
    assert explained.population == "*"
    assert explained.items


def test_retrievers_hold_what_their_files_do(engine: Engine, folder: Path) -> None:
    found = {one.retriever: one for one in inspect_engine(engine, folder, Question()).retrievers}
    assert (found["Popularity"].users, found["Popularity"].items) == (None, 5)
    assert (found["ALS"].users, found["ALS"].bytes) == (2, (folder / "als.npz").stat().st_size)
    lengths = np.linalg.norm(engine.wiring.retriever("ALS", "als.npz").item_factors, axis=1)  # type: ignore[attr-defined]
    norms = found["ALS"].norms
    assert norms is not None
    assert (norms.least, norms.largest) == (pytest.approx(lengths.min()), pytest.approx(lengths.max()))


def test_similar_items_come_from_factors_and_from_weights(engine: Engine, folder: Path) -> None:
    similar = {one.retriever: one for one in inspect_engine(engine, folder, Question(item="i1")).similar}
    assert similar.keys() == {"ALS", "ItemItem"}
    weights = [(one.item, round(one.similarity, 3)) for one in similar["ItemItem"].items]
    assert weights == [("i2", 0.5), ("i4", 0.2)]
    factors = engine.wiring.retriever("ALS", "als.npz").item_factors.astype(float)  # type: ignore[attr-defined]
    cosine = factors @ factors[0] / np.linalg.norm(factors, axis=1) / np.linalg.norm(factors[0])
    best = similar["ALS"].items[0]
    assert best.similarity == pytest.approx(np.delete(cosine, 0).max())
    assert best.title == ["One", "Two", "Three", "Four", "Five"][int(best.item[1]) - 1]
    with pytest.raises(WrongArgument, match="--item: found 'i9', expected one of the 5 ids"):
        inspect_engine(engine, folder, Question(item="i9"))


def test_dependence_of_a_linear_function_is_a_line(engine: Engine, folder: Path) -> None:
    found = inspect_engine(engine, folder, Question(feature="item_plays_7d")).dependence
    line = next(one for one in found if one.population == "BR").points
    slopes = [(b.score - a.score) / (b.value - a.value) for a, b in itertools.pairwise(line)]
    assert slopes == pytest.approx([1.0] * (len(line) - 1))
    with pytest.raises(WrongArgument, match=r"--feature: found 'item_plays_8d'.*did you mean 'item_plays_7d'"):
        inspect_engine(engine, folder, Question(feature="item_plays_8d"))


def test_the_members_of_a_blend_are_named(engine: Engine) -> None:
    trees, linear = (engine.populations.rankers[name].scorer.function for name in ("*", "BR"))
    blend = Blend((Weighted(trees, 0.75), Weighted(linear, 0.25)))
    assert describe(blend) == "blend of 0.75 × 10 trees of at most 7 leaves, at most 5 deep and 0.25 × Linear"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (Question(), ["tiny 2026-02-28.00000001", "population BR: Linear", "retrievers", "item_plays_7d"]),
        (Question(user="ana"), ["user ana, population *", "all others:"]),
        (Question(item="i1"), ["most alike for ItemItem", "0.5000"]),
        (Question(trees=1), ["population *, trees.txt: tree 1 of 10", "├─ yes:", "└─ no:"]),
        (Question(feature="als_score"), ["mean score, all else equal"]),
    ],
)
def test_only_what_is_asked_for_is_shown(engine: Engine, folder: Path, question: Question, words: list[str]) -> None:
    console = plain_console()
    console.width = 200
    with console.capture() as capture:
        for part in render_inspection(inspect_engine(engine, folder, question)):
            console.print(part)
    shown = " ".join(capture.get().split())  # titles are as wide as their tables
    assert all(word in shown for word in words), shown
    assert ("retrievers" in shown) == (question == Question())


def test_an_answer_holds_nothing_that_was_not_asked_for(engine: Engine, folder: Path) -> None:
    explained = inspect_engine(engine, folder, Question(user="ana"))
    assert (explained.populations, explained.retrievers, explained.trees) == ((), (), ())
