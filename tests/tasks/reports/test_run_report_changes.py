"""What changed since the last green run, on runs made by hand."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.publishing.publish import lineage
from tasks.reports.run_report_changes import changes, last_green
from tasks.store.files import write_json
from tasks.training.train import TrainResult
from tests.tasks.checking import DAY, FakeRun
from tests.tasks.finished_runs import LANDED, NASTY, PUBLISHED, RECORDS, STEPS, TRAINED, finished, plain, record
from tests.tasks.reports.test_run_report import text_of, text_only

BEFORE = DAY - timedelta(days=1)


def green(run: FakeRun, day: date, attempt: str = "a1", **instead: Any) -> FakeRun:
    """A green run of another day of the same pipeline; its descriptor has the lineage of `run`, but for `instead`."""
    other = FakeRun(run.home, as_of=day)
    other.dir = run.home.run_dir("demo", day, attempt)
    finished(other)
    version = f"{day}.11111111"
    published = PUBLISHED.model_copy(update={"version": version, "path": f"registry/demo/versions/{version}"})
    published.write(other.step_dir("publish") / "result.json")
    made_from = {**lineage(run, ""), **instead}  # type: ignore[arg-type]
    write_json(run.home.root / published.path / "descriptor.json", {"lineage": made_from})
    return other


def unpublished(run: FakeRun) -> FakeRun:
    """The run up to its gate: what it was made from stands in no descriptor."""
    return finished(run, steps=STEPS[:-1])


def found(run: FakeRun) -> Any:
    return changes(run)  # type: ignore[arg-type]


def test_the_first_run_has_nothing_to_be_compared_with(run: FakeRun) -> None:
    page = text_only(text_of(finished(run)))

    assert found(run).since is None
    assert "No earlier day of this pipeline has a green run here, so there is nothing to compare with." in page


def test_a_run_of_the_same_inputs_has_changed_nothing(run: FakeRun) -> None:
    green(unpublished(run), BEFORE)

    changed = found(run)

    assert changed.unchanged == ["spec", "code", "libraries", "data"]
    assert changed.movers == changed.populations == ()
    assert [(one.now.metric, one.difference) for one in changed.metrics] == [
        ("ndcg@10", 0.0), ("mrr", 0.0), ("recall@20", 0.0),
    ]  # fmt: skip
    assert "gain shares unchanged unchanged pipeline file, code, libraries, data" in text_only(text_of(run))


def test_everything_that_changed_is_on_the_page(run: FakeRun) -> None:
    spec = {"name": "demo", "ranker": {"type": "lightgbm", "rounds": 80}}
    other = green(unpublished(run), BEFORE, spec=spec, code="c" * 64, libraries={"numpy": "1.0"})
    rows = {"digest": "e" * 64, "rows": {"events": 4000, "gone": 7}}
    LANDED.model_copy(update=rows).write(other.step_dir("land") / "result.json")
    importance = {"als_score": 300.0, "item_ctr_28d": 700.0}
    model = TRAINED.model_copy(update={"importance": importance})
    model.write(other.step_dir("train") / "all" / "result.json")
    records = [record("ndcg@10", "model", 0.3), record("mrr", "model", 0.2, definition="another one")]
    write_json(other.step_dir("evaluate") / "records.json", plain(records))

    page = text_only(text_of(run))

    assert "Since the last green run 2026-02-09, 2026-02-09.11111111" in page
    assert "pipeline file ranker.rounds 80 → 100" in page
    assert "code cccccccccccc → " in page
    assert "numpy 1.0 → " in page
    assert "data eeeeeeeeeeee → dddddddddddd events 4,100 (+100), gone gone" in page
    assert "ndcg@10 0.3000 [0.2900, 0.3100] → 0.3400 [0.3300, 0.3500] · +0.0400" in page
    assert "mrr 0.2" not in page  # another definition is another figure
    # 900 of 1520.5 gain is 59.2 %; then 120, which nothing was before.
    assert "item_ctr_28d 70.0 → 32.9 % als_score 30.0 → 59.2 % user_item_actions_28d 0.0 → 7.9 %" in page


def test_the_report_of_the_last_green_run_is_one_link_away(run: FakeRun) -> None:
    other = green(run, BEFORE)
    text_of(other)

    (link,) = re.findall(r'<h2 id="changes">.*?href="([^"]+)"', text_of(finished(run)))

    assert (run.step_dir("report") / link).resolve() == other.step_dir("report") / "report.html"


def test_red_runs_and_later_ones_are_passed_over(run: FakeRun) -> None:
    finished(run)
    for days, attempt in ((3, "a1"), (2, "a1"), (2, "a2"), (-1, "a1"), (0, "another")):
        green(run, DAY - timedelta(days=days), attempt)
    (run.home.run_dir("demo", DAY - timedelta(days=2), "a2") / "publish" / "result.json").unlink()
    finished(FakeRun(run.home, as_of=BEFORE), steps=STEPS[:-1])

    attempt, published = last_green(run) or pytest.fail("none found")  # type: ignore[arg-type]

    assert (attempt.as_of, attempt.name) == (DAY - timedelta(days=2), "a1")
    assert published.version == "2026-02-08.11111111"


@pytest.mark.parametrize("count", range(len(STEPS)))
def test_a_run_that_stopped_anywhere_says_what_it_has_not_reached(run: FakeRun, count: int) -> None:
    green(run, BEFORE)
    finished(run, steps=STEPS[:count])

    page = text_only(text_of(run))

    assert ("this run has landed nothing" in page) == (count == 0)
    assert ("this run has trained no model" in page) == (count <= STEPS.index("train"))
    assert ("this run has evaluated no model" in page) == (count <= STEPS.index("evaluate"))
    assert "unchanged pipeline file, code, libraries" in page


def test_populations_that_came_or_went_are_named(run: FakeRun) -> None:
    other = green(unpublished(run), BEFORE)
    for where, name in ((other, "SE"), (run, "BR")):
        model: TrainResult = TRAINED.model_copy(update={"population": name})
        model.write(where.step_dir("train") / name / "result.json")

    changed = found(run)

    assert [f"{one.name} {one.text}" for one in changed.populations] == [
        "BR has a model of its own now",
        "SE has no model of its own any more",
    ]


def test_movers_of_several_populations_say_whose_they_are(run: FakeRun) -> None:
    other = green(unpublished(run), BEFORE)
    for folder, population in (("all", "*"), ("BR", "BR")):
        TRAINED.model_copy(update={"population": population}).write(run.step_dir("train") / folder / "result.json")
        earlier = {"population": population, "importance": {"als_score": 1.0}}
        TRAINED.model_copy(update=earlier).write(other.step_dir("train") / folder / "result.json")

    assert "als_score (*) 100.0 → 59.2 % als_score (BR) 100.0 → 59.2 %" in text_only(text_of(run))


def test_what_a_run_was_made_from_is_not_guessed_when_the_code_has_changed_since(run: FakeRun) -> None:
    green(unpublished(run), BEFORE)
    write_json(run.step_dir("sample") / "made_by.json", "other code")

    changed = found(run)

    assert changed.unchanged == ["data"]
    assert (changed.spec, changed.code.now, changed.libraries) == (None, None, None)


@pytest.mark.parametrize("text", ["{", "[]", '{"lineage": 3}', '{"lineage": {"spec": [], "libraries": 1, "code": 1}}'])
def test_a_descriptor_that_is_torn_or_gone_is_not_known(run: FakeRun, text: str) -> None:
    green(unpublished(run), BEFORE)
    path: Path = run.home.root / "registry/demo/versions/2026-02-09.11111111/descriptor.json"
    path.write_text(text)

    assert "pipeline file not known code not known → " in text_only(text_of(run))


def test_hostile_names_are_escaped(run: FakeRun) -> None:
    other = green(unpublished(run), BEFORE, spec={NASTY: NASTY, "name": "demo"}, libraries={NASTY: "1"})
    LANDED.model_copy(update={"rows": {NASTY: 1}}).write(other.step_dir("land") / "result.json")
    TRAINED.model_copy(update={"importance": {NASTY: 1.0}}).write(other.step_dir("train") / "all" / "result.json")
    write_json(other.step_dir("evaluate") / "records.json", plain(RECORDS))

    page = text_of(run)

    assert NASTY not in page
    assert page.count("&lt;script&gt;") >= 4
