"""The sections that explain the metrics, on records made by hand."""

from __future__ import annotations

import re
from datetime import date

import pytest

from tasks.evaluation.diagnostics import Diagnostics
from tasks.evaluation.results import ChampionResult
from tasks.examples.candidates import RetrieveResult
from tasks.examples.learners.blend import BlendWeights
from tests.tasks.checking import FakeRun
from tests.tasks.diagnosed import CURVE, DIAGNOSTICS, listed
from tests.tasks.finished_runs import NASTY, TRAINED, finished
from tests.tasks.reports.test_run_report import text_of, text_only


def diagnosed(run: FakeRun, **change: object) -> str:
    """The page of a run with other diagnostics."""
    finished(run)
    Diagnostics.model_validate({**dict(DIAGNOSTICS), **change}).write(
        run.step_dir("check_predictions") / "diagnostics.json"
    )
    return text_of(run)


def section(page: str, anchor: str) -> str:
    """The text of one section."""
    (part,) = re.findall(rf'(<h2 id="{anchor}">.*?)(?=<h2 id=)', page, flags=re.S)
    return text_only(part)


def test_each_retriever_and_their_union_have_their_recall(run: FakeRun) -> None:
    text = section(diagnosed(run), "candidates")

    assert "Of the items that were shown in the held-out lists and consumed" in text
    assert "als 100 99.5 0.7000 [0.6500, 0.7500] 900" in text
    assert "union 200 199.5 0.8000 [0.7500, 0.8500] 900" in text


def test_fitted_weights_of_blends_are_told_with_what_they_were_chosen_by(run: FakeRun) -> None:
    fitted = BlendWeights(
        as_of=date(2026, 2, 20), held_out=7, users=900, weights={"als": 0.35, "history": 0.65}, recall=0.41,
        alone={"als": 0.3, "history": 0.4},
    )  # fmt: skip
    nobody = fitted.model_copy(update={"users": 0, "recall": None, "alone": {}})
    result = RetrieveResult(data="d", cuts=0, made=0, folders={}, kernels=[], blends={"blend": fitted, "new": nobody})
    diagnosed(run)
    result.write(run.step_dir("retrieve") / "result.json")

    text = section(text_of(run), "candidates")

    assert (
        "blend weighs als 0.3500, history 0.6500, fitted as of 2026-02-20 to what 900 users did in the 7 days" in text
    )
    assert "recall 0.4100; alone als 0.3000, history 0.4000." in text
    assert "new weighs als 0.3500, history 0.6500: even, for want of users" in text


def test_of_snapshots_everything_consumed_counts(run: FakeRun) -> None:
    run.spec.examples.kind = "snapshots"

    assert "Of everything that users consumed after the held-out cuts" in section(diagnosed(run), "candidates")


def test_the_curve_has_its_marks_and_features_their_splits(run: FakeRun) -> None:
    page = text_of(finished(run))
    text = section(page, "models")

    assert "chosen: round 3, 0.3300 best: round 2, 0.3400 band: one standard error over 45 lists" in text
    assert "round 4: 0.3200 ± 0.0200" in text
    assert "als_score 59 % 80 item_ctr_28d 33 % 90" in text
    assert "Never used: unused." in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": (), "standard_errors": (), "problem": "the pipeline has no validation window"},
         "No training curve: the pipeline has no validation window."),
        ({"chosen": 80}, "chosen: round 80; no tree could be grown after 4"),
    ],
)  # fmt: skip
def test_a_curve_that_is_not_there_or_ends_says_why(run: FakeRun, change: dict[str, object], said: str) -> None:
    finished(run)
    CURVE.model_copy(update=change).write(run.step_dir("train") / "all" / "curve.json")

    assert said in section(text_of(run), "models")


def test_a_run_of_an_earlier_version_has_no_curve_and_no_splits(run: FakeRun) -> None:
    finished(run)
    (run.step_dir("train") / "all" / "curve.json").unlink()
    TRAINED.model_copy(update={"splits": {}}).write(run.step_dir("train") / "all" / "result.json")

    text = section(text_of(run), "models")

    assert "No training curve: this run recorded none." in text
    assert "als_score 59 % – item_ctr_28d" in text


def test_every_population_has_its_curve(run: FakeRun) -> None:
    finished(run)
    for name in ("BR", "US"):
        TRAINED.model_copy(update={"population": name}).write(run.step_dir("train") / name / "result.json")
        CURVE.model_copy(update={"chosen": len(name)}).write(run.step_dir("train") / name / "curve.json")

    page = text_of(run)

    assert re.findall(r"<h3>population (\S+) ", page) == ["BR", "US", "*"]
    assert page.count("mrr on the validation window") == 0
    assert page.count("ndcg@10 on the validation window by round") == 3


def test_scores_stand_against_grades_with_counts_and_intervals(run: FakeRun) -> None:
    text = section(diagnosed(run), "calibration")

    assert "600 examples, mean score -1.000: mean grade 0.100 [0.050, 0.150]" in text
    assert "2 bins" in text
    assert "599 1.000 0.750 [0.500, 1.000]" in text


def test_the_last_version_is_covered_under_its_name(run: FakeRun) -> None:
    text = section(diagnosed(run), "coverage")

    assert "The first 10 places of the same 900 held-out lists" in text
    assert "The catalog has 400 items." in text
    assert "model 300 75 % 25 % 0.625 popularity 100 25 % 25 % 0.625 2026-02-09.11111111 200 50 %" in text


def test_lists_stand_side_by_side_and_say_what_was_consumed(run: FakeRun) -> None:
    text = section(diagnosed(run), "lists")

    assert "u7 as of 2026-02-07, population *" in text
    assert "20 candidates; consumed 2, of which 1 is listed (by the last version 1)." in text
    assert "this model last version 1 ✓ Open Ocean (3) i2 2 i2 ✓ Last Tide (1)" in text
    assert "0 candidates; consumed 1, of which 0 are listed (by the last version 0)." in text
    assert "Nothing was retrieved for this user." in text
    # It knows what was consumed after the cuts before 6 February: of u3's list, but not of u7's.
    assert text.count("The last version may have been trained on this list.") == 1
    assert text.index("u3") < text.index("may have been trained")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (ChampionResult(version=None), "No version was published before this day, so there are no lists of it."),
        (
            ChampionResult(version="v1", problem="it uses the feature x, which is gone"),
            "Without the lists of v1: it uses the feature x, which is gone.",
        ),
    ],
)
def test_without_a_last_version_both_sections_say_why(run: FakeRun, last: ChampionResult, said: str) -> None:
    alone = tuple(user.model_copy(update={"last": None}) for user in DIAGNOSTICS.lists)
    page = diagnosed(run, last=last, lists=alone)

    for anchor in ("coverage", "lists"):
        assert said in section(page, anchor)
    assert "as the evaluated model ranks it." in section(page, "lists")
    assert "by the last version" not in section(page, "lists")
    assert "1 ✓ Open Ocean (3) 2 i2" in section(page, "lists")


def test_what_could_not_be_measured_says_why(run: FakeRun) -> None:
    page = diagnosed(run, candidates=(), concentration=None, problem="cut=2026-02-07/abc is gone")

    for anchor in ("candidates", "coverage"):
        assert "Not measured: cut=2026-02-07/abc is gone." in section(page, anchor)
    assert "✓ Open Ocean (3)" in section(page, "lists")


def test_a_title_cannot_be_markup(run: FakeRun) -> None:
    hostile = DIAGNOSTICS.lists[0].model_copy(update={"model": (listed("i1", 1, NASTY),), "user": NASTY})

    page = diagnosed(run, lists=(hostile,))

    assert NASTY not in page
    assert "✓ &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


def test_torn_diagnostics_are_missing_not_a_crash(run: FakeRun) -> None:
    finished(run)
    (run.step_dir("check_predictions") / "diagnostics.json").write_text('{"lists": 3}')

    page = text_only(text_of(run))

    assert "Not on this page: candidate recall, calibration, coverage, lists of three users." in page
