"""Two retrievers of a type and re-ranked lists through whole runs: what is evaluated is what is published and served.

The final lists are computed a second time, by the definition written out, and the metrics from them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.descriptor import Request
from engine.evaluation import overall, select
from tasks.checks.predictions import PredictionCheckResult
from tasks.evaluation.diagnostics import DIAGNOSTICS_FILE, Diagnostics
from tasks.evaluation.evaluate import model_scores
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.results import EvaluateResult
from tasks.examples.candidates import made_folders
from tasks.features.engines import warehouse_of
from tasks.runs.run import Run
from tests.engine.test_diversity import by_definition
from tests.tasks.proof.test_prove import proof_of, text_of
from tests.test_attributes import answers_over_http, scores_of
from tests.test_end_to_end import known_users, loaded, published, retrieved, scored
from tests.thorough import thorough
from tests.tiny_pipelines import RATED, RATED_DAY, SHOWN, SHOWN_DAY, Tiny, films, in_process, pipeline_file

pytestmark = [in_process, pytest.mark.slow]

TWO: dict[str, Any] = {
    "retrieval": [
        {"type": "als", "factors": 4, "refit": "7d", "k": 10},
        {"name": "als_recent", "type": "als", "factors": 3, "half_life": "7d", "refit": "7d", "k": 8},
        {"type": "popularity", "k": 10},
        {"name": "usual", "type": "history", "k": 10},
    ],
    "gates": [{"metric": "ndcg@10", "not_worse_than": "popularity", "margin": 1.0}],
}
BY_CATEGORY = {"type": "diversify", "by": "category", "strength": 0.5}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rated": (
        RATED,
        {
            "features": ["als_score", "als_recent_score", "als_recent_rank", "popularity_rank", "user_age"],
            "evaluate": {"metrics": ["ndcg@10", "mrr"], "baselines": ["popularity", "usual", "als_recent"]},
            "rerank": [BY_CATEGORY, {"type": "diversify", "by": "genres", "strength": 0.25}],
        },
    ),
    "shown": (
        SHOWN,
        {
            "features": ["item_actions_28d", "user_item_actions_28d", "als_score", "als_recent_score", "usual_score"],
            "evaluate": {"metrics": ["ndcg@10", "mrr"], "baselines": ["popularity", "als_recent", "logged_order"]},
            "rerank": [BY_CATEGORY],
        },
    ),
}


def made(name: str, folder: Any) -> Tiny:
    """A pipeline of the case, whose day has not been run."""
    base, changes = CASES[name]
    data = films(folder / "films") if base is RATED else None
    day = RATED_DAY if base is RATED else SHOWN_DAY
    return Tiny(pipeline_file(folder, base, **TWO, **changes), day, folder / "home", data)


@pytest.fixture(scope="module", params=CASES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """One of the pipelines, whose day has been run."""
    tiny = made(request.param, tmp_path_factory.mktemp("final"))
    tiny.run()
    return tiny


@pytest.fixture
def run(tiny: Tiny) -> Run:
    """The run that was made."""
    return published(tiny)[0]


def kinds_of(run: Run, cut: date) -> list[dict[str, tuple[str, ...]]]:
    """For each rule what the items are as of a cut, from the tables themselves."""
    found = []
    with warehouse_of(run.home, run.spec.name).open() as tables:
        for rule in run.spec.rerank:
            mart = "feat_items" if rule.by == "category" else "feat_item_attributes"
            rows = tables.rows(f"select item_id, {rule.by} from {mart} where as_of = date '{cut}'")
            values = {item: [value] if isinstance(value, str) else value for item, value in rows}
            found.append({item: tuple(texts or [""]) for item, texts in values.items()})
    return found


def final_list(run: Run, cut: date, scores: dict[str, float]) -> list[str]:
    """One list by the definition: by score, then one item after the other."""
    items = sorted(scores, key=lambda item: (-scores[item], item))
    rules = [
        ([kinds[item] for item in items], rule.strength)
        for kinds, rule in zip(kinds_of(run, cut), run.spec.rerank, strict=True)
    ]
    return [items[place] for place in by_definition(np.array([scores[item] for item in items]), rules)]


def test_http_serves_the_final_lists_to_the_last_bit(tiny: Tiny, run: Run) -> None:
    users = known_users(run)
    answers = answers_over_http(tiny, [{"user_id": user, "k": 10_000} for user in users])
    candidates = retrieved(run, users)
    expected = scored(run, candidates)
    assert scores_of(answers, users) == expected
    by_user: dict[str, dict[str, float]] = defaultdict(dict)
    for (user, item), (score, _) in expected.items():
        by_user[user][item] = score
    served = {user: answer["items"] for user, answer in zip(users, answers, strict=True)}
    for user in users[:12]:
        assert served[user] == final_list(run, run.as_of, by_user[user])
    assert sum(served[user] != sorted(by_user[user], key=lambda i: (-by_user[user][i], i)) for user in users) > 5
    # The code of the evaluation, on the same candidates.
    scores = np.array([expected[user, item][0] for user, item in zip(*columns(candidates), strict=True)])
    final = FinalLists(run, candidates).rank(scores, run.spec.rerank).final
    ordered: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for user, item, place in zip(*columns(candidates), (-final).tolist(), strict=True):
        ordered[user].append((place, item))
    assert {user: [item for _, item in sorted(rows)] for user, rows in ordered.items()} == {
        user: items for user, items in served.items() if items
    }


def columns(table: Any) -> tuple[list[str], list[str]]:
    return table["user_id"].to_pylist(), table["item_id"].to_pylist()


def test_figures_are_of_the_final_lists_beside_those_before(run: Run) -> None:
    table = pq.read_table(run.step_dir("sample") / "test.parquet")
    scores = model_scores(run, table)
    groups: dict[tuple[Any, str], list[tuple[str, float, int]]] = defaultdict(list)
    rows = zip(*(table[name].to_pylist() for name in ("cut", "group_id", "item_id", "grade")), strict=True)
    for (cut, group, item, grade), score in zip(rows, scores.tolist(), strict=True):
        groups[cut, group].append((item, score, grade))
    reciprocal, before = [], []
    kinds = {cut: kinds_of(run, cut) for cut, _ in groups}
    for (cut, _), listed in groups.items():
        ranked = sorted(listed, key=lambda row: (-row[1], row[0]))
        rules = [
            ([of_rule[item] for item, _, _ in ranked], rule.strength)
            for of_rule, rule in zip(kinds[cut], run.spec.rerank, strict=True)
        ]
        final = [ranked[place] for place in by_definition(np.array([score for _, score, _ in ranked]), rules)]
        for lists, order in ((reciprocal, final), (before, ranked)):
            places = [place for place, (_, _, grade) in enumerate(order, 1) if grade > 0]
            if places or run.spec.examples.kind == "snapshots":
                lists.append(1 / places[0] if places else 0.0)
    records = select(loaded_records(run), metric="mrr")
    for of, expected in (("model", reciprocal), ("model_without_rerank", before)):
        record = overall(records, "mrr", of)
        assert record is not None
        missed = record.groups - len(expected)  # of snapshots, users of whom nothing was retrieved
        assert record.value == pytest.approx(sum(expected) / (len(expected) + missed), abs=1e-9)
    (effect,) = (effect for effect in run.read("evaluate", EvaluateResult).rerank if effect.metric == "mrr")
    assert effect.value == pytest.approx((sum(reciprocal) - sum(before)) / overall_groups(records), abs=1e-9)
    assert effect.low is not None
    assert effect.low <= effect.value <= (effect.high or 0)
    page = (run.step_dir("report") / "report.html").read_text(encoding="utf-8")
    assert f"Re-ranking changed {run.read('evaluate', EvaluateResult).rerank[0].text}" in page


def loaded_records(run: Run) -> Any:
    from tasks.evaluation.results import records_if_valid

    return records_if_valid(run.step_dir("evaluate"))


def overall_groups(records: Any) -> int:
    record = overall(records, "mrr", "model")
    assert record is not None
    return int(record.groups)


def test_the_version_has_the_rules_the_names_and_the_figure_before(tiny: Tiny, run: Run) -> None:
    engine = loaded(tiny)  # replays the golden answers
    assert engine.rank([Request(user_id="nobody-knows-me", k=5)])[0].items
    descriptor = engine.descriptor
    node = next(iter(descriptor.rankers.values())) if descriptor.rankers else descriptor.ranker
    assert [rule.by for rule in node.rerank] == [rule.by for rule in run.spec.rerank]  # type: ignore[union-attr]
    names = [part.name for part in node.retrieve.of]  # type: ignore[union-attr]
    assert names == [None, "als_recent", None, "usual"]
    assert {"retrieval/als.npz", "retrieval/als_recent.npz", "retrieval/usual.npz"} <= descriptor.artifacts.keys()
    assert ("retrieval/kinds.parquet" in descriptor.artifacts) == (len(run.spec.rerank) > 1)
    measured = {record.of for record in select(descriptor.evaluation.records, is_overall=True) if not record.feature}
    assert measured == {"model", "model_without_rerank", *run.spec.evaluate.baselines}
    metrics = run.read("evaluate", EvaluateResult).metrics["ndcg@10"]
    assert metrics.keys() == {"model", *run.spec.evaluate.baselines}


def test_diagnostics_are_of_the_final_lists_and_of_each_retriever(run: Run) -> None:
    run.read("check_predictions", PredictionCheckResult)
    found = Diagnostics.read(run.step_dir("check_predictions") / DIAGNOSTICS_FILE)
    assert [row.recall.of for row in found.candidates if row.k == 8] == ["als", "als_recent", "popularity", "usual"]
    assert found.concentration is not None
    shares = {row.of: row for row in found.concentration.contenders}
    assert list(shares)[:2] == ["model", "model_without_rerank"]
    table = pq.read_table(run.step_dir("sample") / "test.parquet")
    final = FinalLists(run, table).rank(model_scores(run, table), run.spec.rerank).final
    shown = found.lists[0]
    rows = [
        (-place, item)
        for place, item, user, cut in zip(
            final.tolist(), *(table[name].to_pylist() for name in ("item_id", "user_id", "cut")), strict=True
        )
        if user == shown.user and cut == shown.cut
    ]
    if run.spec.examples.kind == "snapshots":
        assert [place.item for place in shown.model] == [item for _, item in sorted(rows)][: len(shown.model)]


def test_another_strength_keeps_the_folders_of_the_cuts_and_another_attribute_does_not(tiny: Tiny, run: Run) -> None:
    from tasks.examples.candidates import cut_folders
    from tasks.features.build import needed

    def folders(rerank: list[dict[str, Any]], recent: str = "7d") -> Any:
        spec = run.spec.canonical()
        spec["retrieval"][1]["half_life"] = recent
        other = Run(type(run.spec).model_validate({**spec, "rerank": rerank}), run.home, run.as_of, "1")
        return cut_folders(other, needed(other))

    rules = [rule.model_dump() for rule in run.spec.rerank]
    assert folders(rules) == made_folders(run)
    assert folders([{**rule, "strength": 0.9} for rule in rules]) == made_folders(run)
    assert (folders(rules[:1]) == made_folders(run)) == (len(rules) == 1)
    assert folders(rules, recent="8d") != made_folders(run)


@thorough
@pytest.mark.parametrize("name", ["shown"])
def test_nothing_that_comes_later_changes_a_list(name: str, tmp_path: Any) -> None:
    tiny = made(name, tmp_path / name)
    proof = proof_of(tiny, "deleted", "absurd", scratch=tmp_path)
    assert text_of(proof).splitlines()[-1].startswith("proven: nothing that happens or becomes known after")
    assert str(tiny.as_of + timedelta(days=3)) in text_of(proof)
