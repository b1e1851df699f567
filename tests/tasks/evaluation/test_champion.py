"""The champion as of a day, in registries written by hand: which one it is, what it is compared on, and when not."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.descriptor import Descriptor, artifact_entry, content_digest, write_descriptor
from engine.sealed import unsealed
from tasks.errors import GateFailed
from tasks.evaluation.champion import champion_before, champion_of, champion_scores, outdated_verdicts, valid_versions
from tasks.evaluation.evaluate import evaluate_step
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.results import ChampionResult, EvaluateResult
from tasks.examples.candidates import RetrieveResult
from tasks.publishing.gates import gate_step
from tasks.publishing.publish import this_version
from tasks.publishing.results import GateResult, GateVerdict
from tasks.runs.run import Run
from tasks.spec.parts import Diversify
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.store.registry import move_alias, version_dir, withdraw
from tasks.store.timeline import verdict_on
from tasks.training.learners.protocol import TrainedRanker
from tasks.training.models import JUDGED, PUBLISHED, save_model
from tasks.training.rankers import train_ranker
from tests.tasks.handmade import SNAPSHOTS, day, examples, finish_step, group, published, sample_of, spec_of

# As of 02-20 with H = 1 and L = 2 the test cuts are 02-16 and 02-17.
GATE = {"metric": "mrr", "not_worse_than": "champion", "margin": 0.01}
CLUES = ("item_actions_28d", "user_tenure_days")


def run_on(home: Path, **changes: Any) -> Run:
    known = {CLUES[0]: "It is the label, so that models are perfect."}
    evaluate = {"metrics": ["mrr"], "baselines": ["popularity"], "acknowledged": known}
    changes = {"gates": [GATE], "evaluate": evaluate, **changes}
    return Run(spec_of(**changes), Home(home), day("02-20"), "1")


def held_out_examples(cuts: list[date], users: int = 30) -> pa.Table:
    """A group for each user and cut: the first clue names the best item, the second one the worst."""
    return examples(
        *(
            group(
                f"r{n}-{cut}", f"u{n:02}", [int(item == n % 3) for item in range(3)],
                item_actions_28d=[float(item == n % 3) for item in range(3)],
                user_tenure_days=[-float(item == n % 3) for item in range(3)],
                popularity_score=[1.0, 2.0, 3.0], popularity_rank=[2.0, 1.0, 0.0], history_score=[0.0] * 3,
                cut=[cut] * 3, region=["BR" if n % 2 else "SE"] * 3,
            )
            for cut in cuts
            for n in range(users)
        )
    )  # fmt: skip


def a_model(spec: Spec, clue: str) -> TrainedRanker:
    """Trees that know one clue only."""
    only = spec.model_copy(update={"features": (clue,)})
    table = held_out_examples([day("02-01")]).select([clue, "grade", "weight", "group_id"])
    return train_ranker(table, only, only.ranker)


def ranker(clue: str, artifact: str = "trees.txt") -> dict[str, Any]:
    feature: dict[str, Any] = {"name": clue, "default": 0.0}
    kind = {"popularity": "Popularity", "history": "History"}.get(clue.removesuffix("_score"))
    feature |= {"type": "Score", "of": kind} if kind else {"type": "Lookup", "entity": "item", "artifact": "any"}
    parts = [{"type": name, "k": 5, "artifact": "any"} for name in ("Popularity", "History")]
    return {
        "type": "ScoringRanker",
        "retrieve": {"of": parts},
        "scorer": {"features": [feature], "function": {"type": "Trees", "artifact": artifact}},
    }


def publish(run: Run, as_of: date, clue: str = CLUES[0], spec: Spec | None = None, **changes: Any) -> str:
    """Put a version of a day into the registry and into the timeline."""
    version = f"{as_of}.{clue}"
    folder = version_dir(run.home, run.spec.name, version)
    folder.mkdir(parents=True, exist_ok=True)
    a_model(run.spec, clue).save(folder)
    for name in ("catalogue.parquet", "any"):
        (folder / name).write_text("not read")
    plain: dict[str, Any] = {
        "pipeline": run.spec.name,
        "version": version,
        "as_of": as_of,
        "ranker": ranker(clue),
        "lineage": {"spec": (spec or run.spec).canonical()},
        **changes,
    }
    names = ("catalogue.parquet", "any", "trees.txt")
    entries = {name: artifact_entry(folder / name) for name in names}
    content = content_digest(entries)
    write_descriptor(folder, Descriptor.model_validate({**plain, "artifacts": entries, "content": content}))
    move_alias(run.home, run.spec.name, published(version, as_of, alias=run.spec.publish.alias, content=content))
    return version


def test_the_champion_is_the_latest_day_before_the_runs_own(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    assert champion_before(run) is None
    for as_of in ("02-20", "02-21"):
        move_alias(run.home, "tiny", published(f"{as_of}.1", day(as_of)))
    assert champion_before(run) is None  # its own day and later ones are none
    move_alias(run.home, "tiny", published("02-18.1", day("02-18")))  # a backfilled day, never live
    move_alias(run.home, "tiny", published("02-10.1", day("02-10")))
    assert champion_before(run) == "02-18.1"
    move_alias(run.home, "tiny", published("02-18.0", day("02-18")))  # the same day, published again
    assert champion_before(run) == "02-18.0"
    move_alias(run.home, "tiny", published("02-19.1", day("02-19"), alias="trial"))  # another alias
    assert champion_before(run) == "02-18.0"


def test_only_cuts_it_was_not_trained_on_are_compared(tmp_path: Path) -> None:
    run, table = run_on(tmp_path), held_out_examples([day("02-16"), day("02-17")])
    version = publish(run, day("02-19"))  # trained on the cuts up to 02-16, whose labels are of 02-17
    found = champion_of(FinalLists(run, table))
    assert (found.version, found.since, found.problem) == (version, day("02-17"), None)
    assert found.scores is not None
    best = found.scores.reshape(-1, 3).argmax(axis=1)
    np.testing.assert_array_equal(best, [n % 3 for n in range(30)] * 2)

    publish(run, day("02-18"))
    assert champion_of(FinalLists(run_before(run, day("02-19")), table)).since == day("02-16")


def test_a_champion_whose_rules_read_what_this_run_does_not_is_not_compared(tmp_path: Path) -> None:
    run, table = run_on(tmp_path), held_out_examples([day("02-17")])
    genres = {"rerank": (Diversify(type="diversify", by="genres", strength=0.5),)}
    publish(run, day("02-19"), spec=run.spec.model_copy(update=genres))
    found = champion_of(FinalLists(run, table))
    assert (found.scores, found.problem) == (
        None,
        "its lists are re-ranked by genres, which this run does not read; add a rule to `rerank` for as long as the "
        "two are to be compared, if only of strength 0",
    )


def run_before(run: Run, as_of: date) -> Run:
    return Run(run.spec, run.home, as_of, run.attempt)


def test_without_refit_it_was_trained_up_to_its_own_test_window(tmp_path: Path) -> None:
    run = run_on(tmp_path, publish={"refit": False})
    publish(run, day("02-19"))  # its test cuts: 02-15 and 02-16, its validation ends 3 days before
    assert champion_of(FinalLists(run, held_out_examples([day("02-16")]))).since == day("02-13")


def again(plain: dict[str, Any], folder: Path) -> Descriptor:
    """A descriptor whose artifacts have changed."""
    entries = {name: artifact_entry(folder / name) for name in plain["artifacts"]}
    return Descriptor.model_validate({**plain, "artifacts": entries, "content": content_digest(entries)})


def test_each_population_is_scored_by_its_own_trees(tmp_path: Path) -> None:
    run, table = (
        run_on(tmp_path, evaluate={"metrics": ["mrr"], "slices": ["region"]}),
        held_out_examples([day("02-17")]),
    )
    split = {"type": "PopulationRanker", "by": "region", "of": {"*": {"$ref": "#/rankers/*"}}}
    split["of"] = {"BR": {"$ref": "#/rankers/BR"}, "*": {"$ref": "#/rankers/*"}}
    backwards = ranker(CLUES[1], "trees.txt")
    folder = version_dir(run.home, "tiny", f"{day('02-19')}.{CLUES[0]}")
    publish(run, day("02-19"), ranker=split, rankers={"BR": ranker(CLUES[0]), "*": ranker(CLUES[0])})
    (folder / "other").mkdir()
    a_model(run.spec, CLUES[1]).save(folder / "other")
    plain = unsealed(json.loads((folder / "descriptor.json").read_text()))
    backwards["scorer"]["function"]["artifact"] = "other/trees.txt"
    plain["rankers"]["BR"] = backwards
    plain["artifacts"]["other/trees.txt"] = {}
    descriptor = again(plain, folder)
    write_descriptor(folder, descriptor)
    move_alias(run.home, "tiny", published(descriptor.version, day("02-19"), content=descriptor.content))

    scores = champion_of(FinalLists(run, table)).scores

    assert scores is not None
    one, other = (trees_of(folder / name).predict(clue_of(table, clue)) for name, clue in files())
    np.testing.assert_array_equal(scores, np.where(table["region"].to_numpy(zero_copy_only=False) == "BR", other, one))


def files() -> list[tuple[str, str]]:
    return [("trees.txt", CLUES[0]), ("other/trees.txt", CLUES[1])]


def trees_of(path: Path) -> Any:
    from engine.trees import Trees

    return Trees.load(path)


def clue_of(table: pa.Table, clue: str) -> Any:
    return table[clue].to_numpy().reshape(-1, 1)


def sampled(run: Run, table: pa.Table) -> None:
    """Leave what the steps before training leave."""
    retrieved = RetrieveResult(data="digest of the landing", cuts=0, made=0, folders={}, kernels=[])
    finish_step(run, "retrieve", retrieved.to_json())
    finish_step(run, "sample", sample_of({}).to_json())
    for window in ("validation", "test"):
        pq.write_table(table, run.step_dir("sample") / f"{window}.parquet")


def trained(run: Run, model: TrainedRanker) -> None:
    """Leave a model as the step `train` does."""
    folder = run.step_dir("train/everybody-else")
    folder.mkdir(parents=True)
    for which in (JUDGED, PUBLISHED):
        save_model(model, folder / which)


def evaluated(run: Run, table: pa.Table) -> EvaluateResult:
    """Evaluate with a model that knows the first clue."""
    sampled(run, table)
    trained(run, a_model(run.spec, CLUES[0]))
    return evaluate_step(run)


def run_of_one_feature(home: Path, **changes: Any) -> Run:
    return run_on(home, features=[CLUES[0]], **changes)


def test_an_equal_model_may_follow_and_the_champion_has_records(tmp_path: Path) -> None:
    run = run_of_one_feature(tmp_path)
    version = publish(run, day("02-19"))
    result = evaluated(run, held_out_examples([day("02-16"), day("02-17")]))
    assert result.champion == ChampionResult(version=version, since=day("02-17"))
    assert result.metrics["mrr"]["champion"] == 1.0
    assert gate_step(run).gates[:1] == [
        GateVerdict(
            gate="mrr not worse than champion by more than 0.01",
            passed=True,
            detail="difference +0.0000 [+0.0000, +0.0000] over 30 groups since 2026-02-17, new to the champion "
            + version,
        )
    ]


def test_a_worse_model_may_not_follow(tmp_path: Path) -> None:
    run = run_of_one_feature(tmp_path)
    publish(run, day("02-19"))
    evaluate_backwards(run, held_out_examples([day("02-17")]))
    with pytest.raises(GateFailed, match=r"the champion stays:\n  mrr not worse than champion.*: difference -0\.\d+ "):
        gate_step(run)


def evaluate_backwards(run: Run, table: pa.Table) -> None:
    """Evaluate a model that takes the best item for the worst."""
    sampled(run, table)
    turned = pa.array(1 - table["grade"].to_numpy(), pa.int8())
    worst = table.set_column(table.column_names.index("grade"), "grade", turned)
    trained(run, train_ranker(worst, run.spec, run.spec.ranker))
    evaluate_step(run)


def test_the_first_model_needs_no_champion(tmp_path: Path) -> None:
    run = run_of_one_feature(tmp_path)
    publish(run, day("02-20"))  # the same day, run before
    assert evaluated(run, held_out_examples([day("02-17")])).champion == ChampionResult(version=None)
    assert gate_step(run).gates[0].detail == "no champion before 2026-02-20"


def test_without_such_a_gate_nobody_asks_for_the_champion(tmp_path: Path) -> None:
    run = run_of_one_feature(tmp_path, gates=[{"metric": "mrr", "beats": "popularity"}])
    publish(run, day("02-19"))
    result = evaluated(run, held_out_examples([day("02-17")]))
    assert result.champion is None
    assert "champion" not in result.metrics["mrr"]


def passed_of(home: Home, as_of: str, champion: str | None, name: str = "a") -> str:
    """Enter that a version of a day was compared with a champion, and passed."""
    version = f"{as_of}.{name}"
    move_alias(home, "tiny", published(version, day(as_of), champion=champion))
    return version


def names_of(run: Run) -> list[str]:
    return [event.version for event in valid_versions(run.home, run.spec)]


def test_what_stands_is_in_the_order_of_days_and_without_what_was_withdrawn(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    late = passed_of(run.home, "02-18", None)
    early = passed_of(run.home, "02-16", None)
    other = passed_of(run.home, "02-17", early)
    assert names_of(run) == [early, other, late]
    withdraw(run.home, "tiny", published(other, day("02-17")))
    assert names_of(run) == [early, late]
    passed_of(run.home, "02-17", early)
    assert names_of(run) == [early, other, late]
    move_alias(run.home, "tiny", published("02-19.a", day("02-19"), alias="trial"))
    assert names_of(run) == [early, other, late]


def test_a_version_that_is_evaluated_again_keeps_its_place(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    first, second = passed_of(run.home, "02-16", None), passed_of(run.home, "02-17", None)
    passed_of(run.home, "02-16", "02-15.a")
    assert names_of(run) == [first, second]
    assert valid_versions(run.home, run.spec)[0].champion == "02-15.a"  # the last word on it


def test_a_version_of_an_earlier_landing_that_comes_back_is_champion_of_its_day_again(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    first = passed_of(run.home, "02-18", None)
    corrected = passed_of(run.home, "02-18", None, "b")
    assert champion_before(run) == corrected
    passed_of(run.home, "02-18", None)  # the correction is taken back, and the day is run again
    assert champion_before(run) == first
    assert names_of(run) == [corrected, first]


def test_verdicts_are_outdated_by_a_day_that_is_filled_in(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    first = passed_of(run.home, "02-16", None)
    last = passed_of(run.home, "02-18", first)
    assert outdated_verdicts(run.home, run.spec) == []
    between = passed_of(run.home, "02-17", first)
    assert outdated_verdicts(run.home, run.spec) == [day("02-18")]
    passed_of(run.home, "02-18", between)
    assert outdated_verdicts(run.home, run.spec) == []
    withdraw(run.home, "tiny", published(between, day("02-17")))
    assert outdated_verdicts(run.home, run.spec) == [day("02-18")]
    assert names_of(run)[-1] == last


def test_the_verdict_on_a_version_that_was_overtaken_is_nobodys_affair(tmp_path: Path) -> None:
    """A correction makes other versions of two days: the champion of the first version of the second one is gone."""
    run = run_on(tmp_path)
    passed_of(run.home, "02-17", passed_of(run.home, "02-16", None))
    corrected = passed_of(run.home, "02-16", None, "b")
    assert outdated_verdicts(run.home, run.spec) == [day("02-17")]
    passed_of(run.home, "02-17", corrected, "b")
    assert outdated_verdicts(run.home, run.spec) == []


def test_without_a_gate_on_the_champion_no_verdict_is_outdated(tmp_path: Path) -> None:
    run = run_on(tmp_path, gates=[{"metric": "mrr", "beats": "popularity"}])
    passed_of(run.home, "02-16", "another")
    assert outdated_verdicts(run.home, run.spec) == []


def test_a_published_version_that_fails_a_gate_now_is_withdrawn(tmp_path: Path) -> None:
    run = run_of_one_feature(tmp_path)
    evaluate_backwards(run, held_out_examples([day("02-17")]))
    version = this_version(run)
    move_alias(run.home, "tiny", published(version, run.as_of))  # before there was a champion
    better = publish(run, day("02-19"))
    evaluate_step(run)
    with pytest.raises(GateFailed):
        gate_step(run)
    event = verdict_on(run.home, "tiny", "champion", version)
    assert event is not None
    assert (event.withdrawn, event.why) == (True, "evaluated again: a gate failed")
    assert names_of(run) == [better]
    assert run.read("gate", GateResult).champion == better


def test_a_feature_that_the_examples_lack_makes_it_inconclusive(tmp_path: Path) -> None:
    run = run_of_one_feature(tmp_path)
    version = publish(run, day("02-19"), CLUES[1])
    evaluated(run, held_out_examples([day("02-17")]).drop_columns(CLUES[1]))
    with pytest.raises(GateFailed) as caught:
        gate_step(run)
    assert str(caught.value).splitlines()[1] == (
        f"  mrr not worse than champion by more than 0.01: inconclusive: {version} cannot be compared: it uses the "
        "feature user_tenure_days, which this run's examples don't have; add it to the pipeline file for as long as "
        "the two are to be compared"
    )


def test_a_score_of_another_retrieval_is_another_feature(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    before = spec_of(retrieval=[{"type": "popularity", "window": "7d", "k": 5}, {"type": "history", "k": 5}])
    publish(run, day("02-19"), "popularity_score", before)
    problem = champion_of(FinalLists(run, held_out_examples([day("02-17")]))).problem
    assert problem == "its feature popularity_score comes from other settings of the retrieval popularity"


@pytest.mark.parametrize(("name", "fair"), [("popularity_rank", False), ("popularity_score", True)])
def test_places_among_candidates_of_another_rule_are_not_compared(name: str, fair: bool, tmp_path: Path) -> None:
    """A score means the same under both rules; a place is one among other items."""
    run = run_on(tmp_path, examples=SNAPSHOTS)
    before = spec_of(examples=SNAPSHOTS, candidates={"seen": "exclude"})
    node = ranker("popularity_score")
    feature = node["scorer"]["features"][0]
    if name == "popularity_rank":
        feature |= {"name": name, "type": "Rank"}
        del feature["default"]
    publish(run, day("02-19"), name, before, ranker=node)
    problem = champion_scores(FinalLists(run, held_out_examples([day("02-17")]))).problem
    assert problem == (
        None
        if fair
        else "its feature popularity_rank is a place among candidates of another rule for seen items, "
        "`candidates: {seen: exclude}`"
    )


def test_a_champion_trained_on_every_test_cut_is_not_compared(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    late = spec_of(label={"horizon": "1d", "lateness": "0d", "grades": [{"grade": 1, "when": "kind = 'play'"}]})
    publish(run, day("02-19"), spec=late)  # labels of 02-18 and 02-19 taken: nothing up to 02-17 is new to it
    problem = champion_of(FinalLists(run, held_out_examples([day("02-17")]))).problem
    assert problem == "it was trained on labels up to 2026-02-19, later than every test cut"


def test_a_damaged_champion_is_not_loaded(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    folder = version_dir(run.home, "tiny", publish(run, day("02-19")))
    (folder / "trees.txt").write_text("tree")
    problem = champion_of(FinalLists(run, held_out_examples([day("02-17")]))).problem
    assert problem is not None
    assert "trees.txt: 4 bytes with sha256" in problem
    assert "the file was altered after publishing" in problem


def test_a_champion_with_other_contents_than_it_was_published_with_is_not_loaded(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    version = publish(run, day("02-19"))
    move_alias(run.home, "tiny", published(version, day("02-19")))
    problem = champion_of(FinalLists(run, held_out_examples([day("02-17")]))).problem
    assert problem is not None
    assert "than were published under this name (000000000000…)" in problem


def test_a_champion_that_is_gone_is_named(tmp_path: Path) -> None:
    run = run_on(tmp_path)
    move_alias(run.home, "tiny", published("2026-02-19.gone", day("02-19")))
    problem = champion_of(FinalLists(run, held_out_examples([day("02-17")]))).problem
    assert problem is not None
    assert "2026-02-19.gone/descriptor.json: cannot be read (No such file or directory)" in problem
