"""The evaluator on groups small enough to measure by hand, and validated with scorers of known worth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.evaluation import overall, select
from tasks.errors import TrainingError
from tasks.evaluation import evaluate
from tasks.evaluation.evaluate import evaluate_step, model_scores, populations_of, rank_groups
from tasks.evaluation.figures import Groups, records
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.held_out import HeldOut, baseline_rows
from tasks.evaluation.leakage import Leakage
from tasks.evaluation.results import EvaluateResult, FigureKey
from tasks.evaluation.single_features import SINGLE_FEATURES_FILE, SingleFeatures
from tasks.runs.run import Run
from tasks.store.files import Home, read_json
from tasks.training.models import JUDGED, save_model
from tasks.training.rankers import train_ranker
from tests.tasks.handmade import SNAPSHOTS, day, examples, finish_step, group, sample_of, spec_of

SINGLES = ["item_actions_28d", "user_tenure_days", "popularity_score", "history_score"]
REGIONS = {
    "evaluate": {"metrics": ["ndcg@10", "mrr"], "baselines": ["popularity", "logged_order"], "slices": ["region"]}
}


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the model the scores of the column `model`."""

    def scores(_: Run, table: pa.Table, which: str = JUDGED) -> npt.NDArray[np.float64]:
        return np.asarray(table["model"].to_numpy(), dtype=np.float64)

    monkeypatch.setattr(evaluate, "model_scores", scores)


def run_of(folder: Path, **changes: Any) -> Run:
    return Run(spec_of(**{"publish": {"refit": False}, **changes}), Home(folder), day("02-20"), "1")


def ranked(run: Run, table: pa.Table, truth: pa.Table | None) -> Groups:
    return rank_groups(run, HeldOut.of(run.spec, table, truth), FinalLists(run, table))


def two_groups() -> pa.Table:
    first = {"model": [3.0, 2.0, 1.0], "popularity_score": [1.0, 2.0, 3.0], "region": ["BR"] * 3}
    second = {"model": [2.0, 1.0], "popularity_score": [1.0, 2.0], "region": ["SE"] * 2}
    for columns in (first, second):
        columns |= {"item_actions_28d": columns["popularity_score"], "user_tenure_days": columns["model"]}
        columns["history_score"] = columns["user_tenure_days"]
    return examples(group("r1", "u1", [0, 1, 2], **first), group("r2", "u2", [1, 0], **second))


@pytest.mark.usefixtures("scored")
def test_by_hand(tmp_path: Path) -> None:
    groups = ranked(run_of(tmp_path, **REGIONS), two_groups(), None)

    log3 = math.log2(3)
    upside_down = (1 / log3 + 2 / 2) / (2 + 1 / log3)
    assert groups.users == ["u1", "u2"]
    assert groups.attributes == {"region": ["BR", "SE"]}
    assert groups.population == ["*", "*"]
    assert groups.of("ndcg@10", "model") == pytest.approx([upside_down, 1])
    assert groups.of("ndcg@10", "popularity") == pytest.approx([1, 1 / log3])
    assert groups.of("ndcg@10", "logged_order") == pytest.approx([upside_down, 1])
    assert groups.of("mrr", "model") == pytest.approx([1 / 2, 1])
    assert groups.of("mrr", "popularity") == pytest.approx([1, 1 / 2])


@pytest.mark.usefixtures("scored")
def test_records_are_one_flat_list(tmp_path: Path) -> None:
    run = run_of(tmp_path, **REGIONS)
    figures = records(run.spec, ranked(run, two_groups(), None))

    assert len(figures) == 2 * 3 * 3  # metrics × contenders × (all, two slices)
    everybody = overall(figures, "mrr", "model")
    assert everybody is not None
    assert (everybody.value, everybody.groups) == (0.75, 2)
    assert everybody.low is not None
    assert everybody.high is not None
    assert everybody.low <= 0.75 <= everybody.high
    sliced = [record for record in select(figures, metric="mrr", of="model") if record.slice == "region=BR"]
    assert [(record.value, record.low, record.groups) for record in sliced] == [
        (0.5, None, 1)
    ]  # one user has no interval
    assert overall(figures, "mrr", "history") is None


@pytest.mark.usefixtures("scored")
def test_populations_have_records_of_their_own(tmp_path: Path) -> None:
    run = run_of(tmp_path, populations={"by": "region", "min_groups": 5, "keep": "always"}, **REGIONS)
    run.step_dir("sample").mkdir(parents=True)
    finish_step(run, "sample", sample_of({"BR": 5, "SE": 4}).to_json())

    groups = ranked(run, two_groups(), None)
    figures = records(run.spec, groups)

    assert list(populations_of(run, two_groups())) == ["BR", "BR", "BR", "*", "*"]
    assert groups.population == ["BR", "*"]
    assert {record.population for record in figures} == {"*", "BR"}
    of_region = [record for record in select(figures, metric="mrr", of="model") if record.population == "BR"]
    assert [(record.value, record.groups) for record in of_region] == [(0.5, 1)]


def noise(seed: int, groups: int, model: str) -> pa.Table:
    """Groups of 10 with one relevant item at a random place; the scores are `perfect`, `random` or all the `same`."""
    numbers = np.random.default_rng(seed)
    made = []
    for n in range(groups):
        grades = [0] * 10
        grades[int(numbers.integers(10))] = 1
        of = {"perfect": [float(g) for g in grades], "random": numbers.random(10).tolist(), "same": [0.5] * 10}[model]
        made.append(group(f"r{n:04}", f"u{n}", grades, model=of, popularity_score=[0.0] * 10))
    return examples(*made)


PLAIN = {"evaluate": {"metrics": ["ndcg@10", "mrr", "fpc"], "baselines": ["popularity"], "slices": []}}


@pytest.mark.usefixtures("scored")
def test_a_perfect_scorer_is_perfect(tmp_path: Path) -> None:
    groups = ranked(run_of(tmp_path, **PLAIN), noise(1, 50, "perfect"), None)
    for metric in ("ndcg@10", "mrr", "fpc"):
        assert groups.of(metric, "model").tolist() == [1.0] * 50


@pytest.mark.usefixtures("scored")
@pytest.mark.parametrize("model", ["random", "same"])
def test_a_scorer_that_knows_nothing_is_worth_chance(tmp_path: Path, model: str) -> None:
    run = run_of(tmp_path, **PLAIN)
    figures = records(run.spec, ranked(run, noise(2, 1500, model), None))

    ranks = np.arange(1, 11)
    chance = {"ndcg@10": np.mean(1 / np.log2(ranks + 1)), "mrr": np.mean(1 / ranks), "fpc": 0.5}
    for metric, expected in chance.items():
        record = overall(figures, metric, "model")
        assert record is not None
        assert record.low is not None
        assert record.high is not None
        assert record.low - 0.01 <= expected <= record.high + 0.01
        assert record.value == pytest.approx(expected, abs=0.03)


@pytest.mark.usefixtures("scored")
def test_ties_are_not_resolved_by_the_order_shown(tmp_path: Path) -> None:
    # The policy shows the relevant item first; items stand in the table by id, and there it is last.
    shown = group("r1", "u1", [0, 0, 1], model=[0.5] * 3, popularity_score=[0.0] * 3)
    for row, position in zip(shown, [3, 2, 1], strict=True):
        row["position"] = position
    plain = {"evaluate": {"metrics": ["mrr"], "baselines": ["popularity", "logged_order"], "slices": []}}
    groups = ranked(run_of(tmp_path, **plain), examples(shown), None)

    assert groups.of("mrr", "model") == pytest.approx([1 / 3])
    assert groups.of("mrr", "popularity") == pytest.approx([1 / 3])
    assert groups.of("mrr", "logged_order") == pytest.approx([1])


def test_the_list_of_history_holds_only_what_the_user_had() -> None:
    table = examples(group("r1", "u1", [0, 1], history_score=[0.0, 2.0], popularity_score=[3.0, 0.0]))
    assert baseline_rows(spec_of(), table, "history")[1].tolist() == [False, True]
    assert baseline_rows(spec_of(), table, "popularity")[1].tolist() == [True, True]
    assert baseline_rows(spec_of(), table, "logged_order")[0].tolist() == [-1, -2]


def truth_of(*rows: tuple[str, str, str, int]) -> pa.Table:
    columns = zip(*rows, strict=True)
    table = pa.table(dict(zip(("group_id", "user_id", "item_id", "grade"), map(list, columns), strict=True)))
    return table.append_column("cut", pa.array([day("02-01")] * table.num_rows, pa.date32()))


SNAPSHOT = {
    "examples": SNAPSHOTS,
    "evaluate": {"metrics": ["recall@2", "ndcg@10"], "baselines": ["history"], "slices": []},
}


@pytest.mark.usefixtures("scored")
def test_relevant_items_that_were_not_retrieved_count_as_misses(tmp_path: Path) -> None:
    table = examples(group("u1@c", "u1", [1, 0, 0], model=[3.0, 2.0, 1.0], history_score=[0.0, 1.0, 0.0]))
    truth = truth_of(("u1@c", "u1", "i0", 1), ("u1@c", "u1", "i8", 1), ("u1@c", "u1", "i9", 1))

    groups = ranked(run_of(tmp_path, **SNAPSHOT), table, truth)

    assert groups.of("recall@2", "model") == pytest.approx([1 / 2])  # of the two it could have groups
    assert groups.of("ndcg@10", "model") == pytest.approx([1 / (1 + 1 / math.log2(3) + 1 / 2)])
    assert groups.of("recall@2", "history") == pytest.approx([0])


@pytest.mark.usefixtures("scored")
def test_a_user_for_whom_nothing_was_retrieved_counts_as_missed(tmp_path: Path) -> None:
    table = examples(group("u2@c", "u2", [1], model=[1.0], history_score=[1.0]))
    truth = truth_of(("u1@c", "u1", "i5", 1), ("u1@c", "u1", "i6", 1), ("u2@c", "u2", "i0", 1))

    groups = ranked(run_of(tmp_path, **SNAPSHOT), table, truth)

    assert groups.users == ["u2", "u1"]
    assert groups.of("recall@2", "model").tolist() == [1, 0]
    assert groups.of("recall@2", "history").tolist() == [1, 0]


@pytest.mark.parametrize("own", [0.6, 0.4])
def test_each_population_is_scored_by_its_own_trees_where_they_are_better(tmp_path: Path, own: float) -> None:
    run = run_of(tmp_path, populations={"by": "region", "min_groups": 5}, features=["item_actions_28d"])
    numbers = np.random.default_rng(3)
    clue = [numbers.permutation(5).astype(float).tolist() for _ in range(20)]
    regions = ["BR" if n % 2 else "SE" for n in range(20)]
    table = examples(
        *(
            group(f"r{n:02}", f"u{n}", [int(x == max(c)) for x in c], item_actions_28d=c, region=[regions[n]] * 5)
            for n, c in enumerate(clue)
        )
    )
    run.step_dir("sample").mkdir(parents=True)
    finish_step(run, "sample", sample_of({"BR": 10, "SE": 4}).to_json())
    for name, sign in (("BR", 1), ("everybody-else", -1)):
        folder = run.step_dir(f"train/{name}")
        folder.mkdir(parents=True)
        grades = table["grade"].to_numpy()
        turned = pa.array(grades if sign > 0 else 1 - grades, pa.int8())
        model = train_ranker(
            table.set_column(table.column_names.index("grade"), "grade", turned), run.spec, run.spec.ranker
        )
        save_model(model, folder / JUDGED)
        value = own if name == "BR" else 0.5
        lists = {"group_id": ["a", "b", "c"], "user_id": ["u1", "u2", "u3"], "value": [value] * 3}
        pq.write_table(pa.table(lists), folder / "validation.parquet")

    found = model_scores(run, table).reshape(20, 5)

    for n, row in enumerate(found):
        best = int(np.argmax(clue[n]))
        of_its_own = regions[n] == "BR" and own > 0.5
        assert (int(np.argmax(row)) if of_its_own else int(np.argmin(row))) == best


@pytest.mark.usefixtures("scored")
def test_the_step_leaves_records_and_groups(tmp_path: Path) -> None:
    run = run_of(tmp_path, **REGIONS)
    run.step_dir("sample").mkdir(parents=True)
    for window in ("validation", "test"):
        pq.write_table(two_groups(), run.step_dir("sample") / f"{window}.parquet")

    result = evaluate_step(run)

    assert result == run.read("evaluate", EvaluateResult)
    assert result.groups == 2
    assert result.metrics["mrr"] == {"model": 0.75, "popularity": 0.75, "logged_order": 0.75}
    groups = pq.read_table(run.step_dir("evaluate") / "groups.parquet")
    assert groups.column_names == ["user_id"] + [
        f"{metric} of {contender}"
        for contender in ("model", "popularity", "logged_order")
        for metric in ("ndcg@10", "mrr")
    ] + [f"ndcg@10 of feature:{name}" for name in SINGLES]
    figures = read_json(run.step_dir("evaluate") / "records.json")
    assert len(figures) == 18 + len(SINGLES), "features alone over all groups only"
    assert [figure["of"] for figure in figures if figure["slice"] is None][6:] == [
        f"feature:{name}" for name in SINGLES
    ]
    assert result.best_feature == SingleFeatures.read(run.step_dir("evaluate") / SINGLE_FEATURES_FILE).best
    assert result.best_feature is not None
    assert result.best_feature.feature == "history_score"
    assert result.summary().endswith("; lead in ndcg@10 over history_score alone -0.0055 [-0.3801, +0.3691]")
    assert list(figures[0]) == [
        "definition", "groups", "high", "low", "metric", "of", "population", "slice", "value",
    ]  # fmt: skip
    leakage = Leakage.read(run.step_dir("evaluate") / "leakage.json")
    assert [(power.feature, power.groups) for power in leakage.features] == [
        ("item_actions_28d", 2),
        ("user_tenure_days", 2),
    ]
    assert result.suspicious == ()


def test_nothing_to_evaluate_is_an_error(tmp_path: Path) -> None:
    run = run_of(tmp_path, **REGIONS)
    run.step_dir("sample").mkdir(parents=True)
    pq.write_table(two_groups().slice(0, 0), run.step_dir("sample") / "test.parquet")
    with pytest.raises(TrainingError) as caught:
        evaluate_step(run)
    assert str(caught.value) == (
        "tiny 2026-02-20: no group of the test cuts 2026-02-16 to 2026-02-17 has a positive label, so nothing can be "
        "evaluated; check `label` and `examples.test`"
    )
    assert not run.step_dir("evaluate").exists()


def test_undefined_values_are_left_out_and_counted() -> None:
    values = {
        FigureKey("mrr", "model"): np.array([1.0, math.nan, 0.0]),
        FigureKey("mrr", "popularity"): np.full(3, math.nan),
    }
    figures = records(spec_of(), Groups(["u1", "u2", "u3"], values, {}, ["*"] * 3))
    assert [(record.of, record.value, record.groups) for record in figures] == [
        ("model", 0.5, 2),
        ("popularity", None, 0),
    ]
