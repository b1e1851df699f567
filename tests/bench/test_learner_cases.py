"""The rows of `bench.learners` are those of the registries: a new learner, or a new kind of one, is among them."""

from __future__ import annotations

import pytest

from bench._learner_cases import Case, choices, rankers, retrievers
from tasks.examples.retrievers import RETRIEVAL_MODELS
from tasks.spec.load import load_spec
from tasks.spec.parts import Part
from tasks.spec.project import pipeline_path
from tasks.spec.spec import Spec
from tasks.training.rankers import RANKERS


def spec(name: str = "streaming") -> Spec:
    return load_spec(pipeline_path(name))


def last_parts(cases: tuple[Case, ...]) -> list[Part]:
    return [case.retrieval[-1] for case in cases]


def words_of(rows: list[Part], name: str) -> dict[str, set[str]]:
    """The words of each choice that the rows of a type have made."""
    own = [row for row in rows if getattr(row, "type", None) == name]
    return {key: {getattr(row, key) for row in own} for key in choices(own[0])}


def test_every_type_of_ranker_has_a_row_for_each_of_its_choices() -> None:
    rows: list[Part] = [case.ranker for case in rankers(spec()) if case.ranker is not None]
    for name in set(RANKERS) - {"onnx"}:  # what a program trains has no defaults
        plain = RANKERS[name].settings.model_validate({"type": name})
        assert words_of(rows, name) == {key: set(words) for key, words in choices(plain).items()}


def test_every_type_of_retrieval_has_a_row_for_each_of_its_choices() -> None:
    rows = last_parts(retrievers(spec(), 50))
    for name in set(RETRIEVAL_MODELS) - {"blend", "onnx"}:
        plain = RETRIEVAL_MODELS[name].settings.model_validate({"type": name, "k": 1})
        assert words_of(rows, name) == {key: set(words) for key, words in choices(plain).items()}


def test_there_are_blends_of_both_sorts_of_learners() -> None:
    assert "blend" in {case.ranker.type for case in rankers(spec()) if case.ranker is not None}
    assert {getattr(part, "by", None) for part in last_parts(retrievers(spec(), 50))} >= {"scores", "ranks"}


def test_all_retrievers_find_as_many_items() -> None:
    assert {part.k for case in retrievers(spec(), 50) for part in case.retrieval} == {50}


@pytest.mark.parametrize("name", ["streaming", "online_retail"])
def test_names_tell_rows_apart_and_the_pipelines_own_are_as_declared(name: str) -> None:
    declared = spec(name)
    rows, found = rankers(declared), retrievers(declared, 50)
    assert rows[0].ranker == declared.ranker
    own = {row.name: row.retrieval[-1] for row in found}
    for part in declared.retrieval:
        assert own[f"the pipeline's {part.identity}"] == part.model_copy(update={"k": 50})
    names = [row.name for row in (*rows, *found)]
    assert len(names) == len(set(names))
