"""Training where the answer is known; equal inputs give equal bytes; populations."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import MatineeError, TrainingError
from tasks.examples.arrays import group_offsets, matrix
from tasks.runs.run import Run
from tasks.spec.populations import slug
from tasks.spec.rankers import LightGBM
from tasks.spec.spec import Spec
from tasks.store.files import Home, safe_name, sha256_file
from tasks.training.models import JUDGED, PUBLISHED, load_model, save_model
from tasks.training.rankers import train_ranker
from tasks.training.train import TrainResult, populations, read_examples, train_step
from tests.tasks.handmade import day, examples, finish_step, group, sample_of, spec_of

TREES: dict[str, Any] = {"type": "lightgbm", "min_data_in_leaf": 5}
CLUE, NOISE = "item_actions_28d", "user_tenure_days"


def learnable(seed: int, groups: int = 80, regions: tuple[str, ...] = ("BR",), turned: str = "") -> pa.Table:
    """Grades follow the clue; in the region `turned` they follow its opposite."""
    numbers = np.random.default_rng(seed)
    made = []
    for n in range(groups):
        clue, noise, region = numbers.random(8), numbers.random(8), regions[n % len(regions)]
        order = np.argsort(-clue if region == turned else clue)
        grades = np.zeros(8, dtype=int)
        grades[order[-1]], grades[order[-2]] = 2, 1
        columns = {CLUE: clue.tolist(), NOISE: noise.tolist(), "region": [region] * 8}
        made.append(group(f"g{n:03}", f"u{n}", grades.tolist(), **columns))
    return examples(*made)


def files_of_model(table: pa.Table, spec: Spec, folder: Path) -> dict[str, bytes]:
    """Train, save, and give the bytes of every file."""
    save_model(train_ranker(table, spec, spec.ranker), folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def share_of_best_on_top(found: Any, table: pa.Table) -> float:
    grades, offsets = table["grade"].to_numpy(), group_offsets(table)
    tops = [grades[a + int(np.argmax(found[a:b]))] == 2 for a, b in pairwise(offsets)]
    return float(np.mean(tops))


def test_nothing_is_learnt_from_noise() -> None:
    spec = spec_of(features=[NOISE])
    found = train_ranker(learnable(1), spec, spec.ranker).scorer().predict(matrix(learnable(2), [NOISE]))
    assert share_of_best_on_top(found, learnable(2)) < 0.35


def test_chunks_of_the_table_change_nothing(tmp_path: Path) -> None:
    spec, table = spec_of(), learnable(1)
    chunked = pa.concat_tables([table.slice(0, 101), table.slice(101)])
    assert files_of_model(table, spec, tmp_path / "whole") == files_of_model(chunked, spec, tmp_path / "chunked")


def test_weights_decide_between_contradicting_groups() -> None:
    spec = spec_of(ranker={"type": "lightgbm", "rounds": 20, "min_data_in_leaf": 5, "lambda_l2": 0})
    table = learnable(1, regions=("BR", "SE"), turned="SE")
    for heavy, turned in (("BR", False), ("SE", True)):
        weights = pa.array([10.0 if region == heavy else 0.1 for region in table["region"].to_pylist()])
        weighted = table.set_column(table.column_names.index("weight"), "weight", weights)
        model = train_ranker(weighted, spec, spec.ranker)
        low, high = model.scorer().predict(np.array([[0.02, 0.5], [0.98, 0.5]]))
        assert bool(low > high) is turned


def test_positions_are_given_to_the_learner_where_asked(tmp_path: Path) -> None:
    texts = []
    changes: dict[str, Any] = {"plain": {}, "aware": {"position_bias": {"type": "position_aware"}}}
    for name, bias in changes.items():
        spec = spec_of(ranker={"type": "lightgbm", "rounds": 5, "min_data_in_leaf": 5}, **bias)
        files = files_of_model(learnable(1), spec, tmp_path / name)
        texts.append(files["trees.txt"].partition(b"parameters:")[0])
    assert texts[0] != texts[1]


@pytest.mark.parametrize("grade", [0, 1])
def test_one_grade_for_all_teaches_nothing(grade: int) -> None:
    table = examples(group("g1", "u1", [grade] * 3, **{CLUE: [1.0, 2.0, 3.0], NOISE: [0.0, 0.0, 0.0]}))
    with pytest.raises(TrainingError) as caught:
        train_ranker(table, spec_of(), spec_of().ranker)
    assert str(caught.value) == (
        f"single-class label: all 3 examples have the grade {grade}, expected at least two different grades. Look at "
        "`label.grades` and the length of `examples.train`"
    )


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("BR", "BR"),
        ("en-GB", "en-GB"),
        ("*", "everybody-else"),
        ("everybody-else", "everybody-else_86adafd5"),
        ("São Paulo", "S-o-Paulo_461336eb"),
        ("", "population_bd85bcdb"),
        ("../up", "up_9788ab89"),
        ("日本", "population_0b322e48"),
    ],
)
def test_populations_as_folders(name: str, folder: str) -> None:
    assert slug(name) == folder


NAMES = st.text(max_size=12) | st.sampled_from(["*", "everybody-else", "a b", "a_b", "..", "", "ä", "á"])


@given(NAMES, NAMES)
def test_populations_that_differ_have_folders_that_differ(one: str, other: str) -> None:
    assert (slug(one) == slug(other)) == (one == other)
    assert safe_name(slug(one)) == slug(one)


def test_everybody_else_is_who_has_no_model_of_their_own(tmp_path: Path) -> None:
    spec = spec_of(populations={"by": "region", "min_groups": 1})
    table = learnable(1, 9, ("BR", "SE", "US"))
    pq.write_table(table, tmp_path / "a.parquet")

    def regions(population: str, own: list[str]) -> set[str]:
        return set(read_examples([tmp_path / "a.parquet"], spec, population, own)["region"].to_pylist())

    assert regions("BR", ["BR", "US"]) == {"BR"}
    assert regions("*", ["BR", "US"]) == {"SE"}
    assert regions("*", []) == {"BR", "SE", "US"}
    assert regions("*", ["BR", "SE", "US"]) == {"BR", "SE", "US"}  # nobody is left: everybody teaches it
    assert read_examples([tmp_path / "a.parquet"] * 2, spec_of(), "*", []).num_rows == 2 * table.num_rows


def sampled(folder: Path, table: pa.Table, counts: dict[str, int], **changes: Any) -> Run:
    """A run whose sample step has been: the same examples in every window."""
    run = Run(spec_of(**changes), Home(folder), day("02-20"), "1")
    sample = run.step_dir("sample")
    sample.mkdir(parents=True)
    for name in ("train", "validation", "refit"):
        pq.write_table(table, sample / f"{name}.parquet")
    finish_step(run, "sample", sample_of(counts).to_json())
    return run


def test_a_population_with_too_few_groups_has_no_model_of_its_own(tmp_path: Path) -> None:
    by_region = {"populations": {"by": "region", "min_groups": 30}}
    run = sampled(tmp_path, learnable(1), {"BR": 30, "SE": 29, "AR": 40}, **by_region)
    assert populations(run) == ["AR", "BR", "*"]


def test_who_has_no_known_attribute_has_no_model_of_their_own(tmp_path: Path) -> None:
    """Serving cannot tell them from strangers; and `*` twice would train into one folder at once."""
    by_region = {"populations": {"by": "region", "min_groups": 30}}
    run = sampled(tmp_path, learnable(1), {"*": 90, "BR": 30, "unknown": 90}, **by_region)
    assert populations(run) == ["BR", "*"]


def test_without_populations_everybody_has_one_model(tmp_path: Path) -> None:
    assert populations(sampled(tmp_path, learnable(1), {})) == ["*"]


def test_each_population_learns_its_own(tmp_path: Path) -> None:
    table = learnable(1, 120, ("BR", "SE"), turned="SE")
    changes = {"populations": {"by": "region", "min_groups": 50, "keep": "always"}, "publish": {"refit": True}}
    run = sampled(tmp_path, table, {"BR": 60, "SE": 5}, **changes)

    result = train_step(run, "BR")
    train_step(run, "*")

    assert result == run.read("train/BR", TrainResult)
    assert (result.population, result.groups, result.examples, result.trials) == ("BR", 120, 960, 0)
    assert result.importance[CLUE] > 5 * result.importance[NOISE]
    lines = (run.step_dir("train") / "BR/judged/trees.txt").read_text().splitlines()
    split_on = [number for line in lines if line.startswith("split_feature=") for number in line[14:].split()]
    assert result.splits == {CLUE: split_on.count("0"), NOISE: split_on.count("1")}
    for name, model, turned in (("BR", JUDGED, False), ("BR", PUBLISHED, False), ("*", JUDGED, True)):
        low, high = load_model(run, name, model).predict(np.array([[0.02, 0.5], [0.98, 0.5]]))
        assert bool(low > high) is turned


def test_training_again_changes_no_byte(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        run = sampled(tmp_path / name, learnable(1), {})
        train_step(run, "*")
        folder = run.step_dir("train/everybody-else")
        digests.append({str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*.*")})
    assert digests[0] == digests[1]
    models = "judged/function.json judged/trees.txt made_by.json published/function.json published/trees.txt"
    assert sorted(digests[0]) == f"curve.json digests.json {models} result.json".split()


def test_without_refit_the_judged_model_is_published(tmp_path: Path) -> None:
    run = sampled(tmp_path, learnable(1), {}, publish={"refit": False})
    train_step(run, "*")
    folder = run.step_dir("train/everybody-else")
    judged, published = ((folder / which / "trees.txt").read_bytes() for which in (JUDGED, PUBLISHED))
    assert judged == published


def test_rounds_that_the_validation_window_chose_are_those_of_both_models(tmp_path: Path) -> None:
    run = sampled(tmp_path, learnable(1), {}, ranker={**TREES, "rounds": 40, "early_stopping": 3})

    result = train_step(run, "*")

    assert result.rounds is not None
    assert isinstance(result.settings, LightGBM)
    assert (result.settings.rounds, result.settings.early_stopping) == (result.rounds.chosen, None)
    for which in (JUDGED, PUBLISHED):
        text = (run.step_dir("train/everybody-else") / which / "trees.txt").read_text()
        assert text.count("\nTree=") == result.rounds.chosen < 40


def test_a_population_that_cannot_learn_says_whose_it_is(tmp_path: Path) -> None:
    table = learnable(1)
    flat = table.set_column(table.column_names.index("grade"), "grade", pa.array([1] * table.num_rows, pa.int8()))
    run = sampled(tmp_path, flat, {})
    with pytest.raises(TrainingError, match=r"^tiny 2026-02-20, population '\*': single-class label: all 1280 exam"):
        train_step(run, "*")
    assert not run.step_dir("train").exists() or not list(run.step_dir("train").iterdir())


def test_a_sample_that_was_not_drawn_is_an_error(tmp_path: Path) -> None:
    run = Run(spec_of(), Home(tmp_path), day("02-20"), "1")
    with pytest.raises(MatineeError, match=r"the step 'sample' of tiny 2026-02-20 has not run in the attempt '1'"):
        populations(run)


def test_a_group_that_lightgbm_refuses_is_said_in_its_words() -> None:
    rows = 10_001
    table = examples(group("r1", "u1", [1] + [0] * (rows - 1), **{CLUE: [1.0] * rows, NOISE: [0.0] * rows}))
    spec = spec_of()
    with pytest.raises(TrainingError, match=r"LightGBM refuses these examples or settings: .*10001"):
        train_ranker(table, spec, spec.ranker)
