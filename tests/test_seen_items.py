"""One rule for seen items, through whole runs: no list, baseline, truth or answer holds what the rule forbids.

What was seen is computed a second time, by pandas from the landed rows, and compared item by item.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.errors import GateFailed
from tasks.evaluation.baselines import Baselines
from tasks.examples.candidates import candidate_files
from tasks.features.engines import warehouse_of
from tasks.operations import comparisons
from tasks.publishing.results import PublishResult
from tasks.runs.run import Run
from tasks.spec.load import load_spec
from tasks.store.files import Home
from tests.test_end_to_end import known_users, loaded, scored_by_engine, scored_by_sql
from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, SHOWN, SHOWN_DAY, Tiny, in_process, pipeline_file, shop, sold_once

pytestmark = [in_process, pytest.mark.slow]

Pair = tuple[str, str]
UNSEEN = {
    "features": ["als_score", "als_rank", "popularity_rank", "item_actions_28d", "user_actions_28d"],
    "retrieval": [{"type": "als", "factors": 4, "refit": "7d", "k": 6}, {"type": "popularity", "k": 5}],
    "evaluate": {"metrics": ["ndcg@10"], "baselines": ["popularity", "als"], "slices": ["region"]},
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bought, unseen": (BOUGHT, {**UNSEEN, "candidates": {"seen": "exclude"}}),
    "bought, seen": (BOUGHT, {"candidates": {"seen": "only"}}),
    "shown, unseen": (SHOWN, {**UNSEEN, "features": SHOWN["features"], "candidates": {"seen": "exclude"}}),
}


SNAPSHOTS_ONLY = pytest.mark.parametrize("tiny", [name for name in CASES if "bought" in name], indirect=True)


@pytest.fixture(scope="module", params=CASES)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A day that was run with a rule; without a gate that a tiny model could fail."""
    base, changes = CASES[request.param]
    folder = tmp_path_factory.mktemp("seen")
    gates = [{"metric": "ndcg@10", "not_worse_than": "popularity", "margin": 1.0}]
    file = pipeline_file(folder, base, **changes, gates=gates)
    data = shop(folder / "shop") if base is BOUGHT else None
    tiny = Tiny(file, BOUGHT_DAY if base is BOUGHT else SHOWN_DAY, folder / "home", data)
    tiny.run()
    return tiny


@pytest.fixture
def run(tiny: Tiny) -> Run:
    """The run that was made."""
    return tiny.prepared()


@pytest.fixture
def history(run: Run) -> pd.DataFrame:
    """Every accepted interaction: who, what, the day it occurred and the day it was known."""
    with warehouse_of(run.home, run.spec.name).open() as tables:
        rows = tables.arrow("select user_id, item_id, cast(occurred_at as date) as day, ds from interactions")
    frame: pd.DataFrame = rows.to_pandas()
    return frame


@pytest.fixture
def seen(history: pd.DataFrame) -> Callable[[Any], set[Pair]]:
    """What had been seen by a cut."""

    def by(cut: Any) -> set[Pair]:
        limit = pd.Timestamp(cut)
        past = history[(pd.to_datetime(history["day"]) <= limit) & (pd.to_datetime(history["ds"]) <= limit)]
        return set(zip(past["user_id"], past["item_id"], strict=True))

    return by


def permitted(run: Run, pairs: set[Pair], seen_pairs: set[Pair]) -> bool:
    return pairs <= seen_pairs if run.spec.candidates.seen == "only" else not pairs & seen_pairs


def pairs_of(table: pd.DataFrame) -> set[Pair]:
    return set(zip(table["user_id"], table["item_id"], strict=True))


def test_no_list_and_no_truth_holds_what_the_rule_forbids(run: Run, seen: Callable[[Any], set[Pair]]) -> None:
    for cut, file in candidate_files(run).items():
        pairs = pairs_of(pd.read_parquet(file))
        assert permitted(run, pairs, seen(cut))
    names = ["train", "test", "refit"] + (["truth"] if run.spec.examples.kind == "snapshots" else [])
    for name in names:
        table = pd.read_parquet(run.step_dir("sample") / f"{name}.parquet")
        assert len(table) > 20
        for cut, rows in table.groupby("cut"):
            assert permitted(run, pairs_of(rows), seen(cut))
            if "seen" in rows:  # what the SQL marks is what pandas finds
                assert set(rows["seen"]) == {run.spec.candidates.seen == "only"}


@SNAPSHOTS_ONLY
def test_the_truth_is_all_that_a_list_could_have_found(
    run: Run, history: pd.DataFrame, seen: Callable[[Any], set[Pair]]
) -> None:
    truth = pd.read_parquet(run.step_dir("sample") / "truth.parquet")
    with warehouse_of(run.home, run.spec.name).open() as tables:
        bought = tables.arrow(
            "select user_id, item_id, cast(occurred_at as date) as day, ds from interactions where kind = 'purchase'"
        ).to_pandas()
        items = tables.arrow("select item_id, as_of from feat_items").to_pandas()
        users = tables.arrow("select user_id, as_of from feat_users where user_actions_365d > 0").to_pandas()
    for cut in run.windows.test:
        last = cut + timedelta(days=run.spec.label.horizon)
        day = pd.to_datetime(bought["day"])
        ahead = bought[(day > pd.Timestamp(cut)) & (day <= pd.Timestamp(last))]
        known = set(items[pd.to_datetime(items["as_of"]) == pd.Timestamp(cut)]["item_id"])
        active = set(users[pd.to_datetime(users["as_of"]) == pd.Timestamp(cut)]["user_id"])
        wanted = {(user, item) for user, item in pairs_of(ahead) if item in known and user in active}
        wanted = wanted & seen(cut) if run.spec.candidates.seen == "only" else wanted - seen(cut)
        assert pairs_of(truth[truth["cut"].astype(str) == str(cut)]) == wanted
        assert wanted


@SNAPSHOTS_ONLY
def test_a_baselines_places_go_to_the_best_items_that_the_rule_allows(
    run: Run, seen: Callable[[Any], set[Pair]]
) -> None:
    """The list of popularity at a cut, by pandas: the k items with most actions in 28 days that somebody may get."""
    cut = run.windows.test[-1]
    with warehouse_of(run.home, run.spec.name).open() as tables:
        items = tables.arrow(
            f"select item_id, item_actions_28d from feat_items where as_of = date '{cut}' and available"
        ).to_pandas()
    ranked = items.sort_values(["item_actions_28d", "item_id"], ascending=[False, True])["item_id"].tolist()
    candidates = pd.read_parquet(candidate_files(run)[cut])
    part = next(part for part in run.spec.retrieval if part.type == "popularity")
    past, only = seen(cut), run.spec.candidates.seen == "only"
    for user, rows in candidates.groupby("user_id"):
        allowed = [item for item in ranked if ((user, item) in past) == only]
        by_score = rows.sort_values(["popularity_score", "item_id"], ascending=[False, True])["item_id"].tolist()
        assert by_score[: part.k] == allowed[: part.k]


def test_what_is_served_is_what_was_evaluated_to_the_last_bit(
    tiny: Tiny, run: Run, seen: Callable[[Any], set[Pair]]
) -> None:
    from engine.descriptor import Request

    engine = loaded(tiny)  # replays the golden answers
    users = known_users(run)
    served = scored_by_engine(engine, users)
    assert len(served) > 100
    assert permitted(run, set(served), seen(run.as_of))
    assert served == scored_by_sql(run, users)
    catalog = engine.wiring.catalogue.items.ids.values
    named = engine.rank([Request(user_id=user, k=10_000, candidates=tuple(catalog.tolist())) for user in users])
    given = {(user, item) for user, answer in zip(users, named, strict=True) for item in answer.items}
    available = set(catalog[np.asarray(engine.wiring.catalogue.items.available)].tolist())
    every = {(user, item) for user in users for item in available}
    past = seen(run.as_of)
    assert given == (every & past if run.spec.candidates.seen == "only" else every - past)
    assert run.read("publish", PublishResult).new


@pytest.fixture(scope="module")
def bought_once(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A shop in which nobody buys a product twice, and a pipeline that does not say so; its day has been run."""
    folder = tmp_path_factory.mktemp("once")
    gates = [{"metric": "ndcg@10", "beats": "popularity"}]
    data = shop(folder / "shop", lines=sold_once)
    tiny = Tiny(pipeline_file(folder, BOUGHT, name="once", gates=gates), BOUGHT_DAY, folder / "home", data)
    with suppress(GateFailed):
        tiny.run()
    return tiny


def test_what_nobody_repeats_is_named_by_the_report_the_gate_and_validate(
    bought_once: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bought_once.prepared()
    baselines = Baselines.read(run.step_dir("evaluate") / "baselines.json")
    assert (baselines.repeated, baselines.relevant > 30) == (0, True)
    assert baselines.vacuous("history")
    unfair = f"the label repeats 0 of {baselines.relevant} items"
    page = (run.step_dir("report") / "report.html").read_text(encoding="utf-8")
    assert unfair in page
    assert "the baseline history is vacuous" in page
    monkeypatch.setenv("MATINEE_HOME", str(bought_once.home))
    done = CliRunner().invoke(app, ["validate", str(bought_once.file)])
    assert done.exit_code == 0, done.output
    notes = [line for line in done.output.splitlines() if line.startswith("Note: ")]
    assert "Write `candidates: {seen: exclude}`" in notes[0]
    assert notes[0].startswith("Note: the label repeats 0 of ")  # of the labels that are built, not of the run's
    assert any("the baseline history is vacuous" in note and "by the run of 2011-03-05" in note for note in notes)
    assert sum("the label repeats" in note for note in notes) == 1


def test_with_the_rule_nothing_is_left_to_say(bought_once: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(bought_once.home))
    gates = [{"metric": "ndcg@10", "beats": "best_baseline"}]
    changes = {**UNSEEN, "candidates": {"seen": "exclude"}, "gates": gates, "name": "once"}
    file = pipeline_file(bought_once.file.parent / "rule", BOUGHT, **changes)
    done = CliRunner().invoke(app, ["validate", str(file)])
    assert done.exit_code == 0, done.output
    assert "Note" not in done.output


def test_labels_that_somebody_is_building_are_said_to_be_unread(
    bought_once: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparisons, "PATIENCE", 0)
    with warehouse_of(Home(bought_once.home), "once").locked():
        notes = comparisons.comparison_notices(load_spec(bought_once.file), Home(bought_once.home))
    assert notes[0] == (
        "whether the label repeats items was not looked at, as a run is using the tables now; nothing is wrong with "
        "the file: validate it again when the run has ended"
    )
