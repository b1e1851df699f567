"""Whole runs of the tiny pipelines with a feature that has seen the label, as a wrong join would make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import GateFailed
from tasks.evaluation.leakage import Leakage
from tasks.evaluation.results import EvaluateResult
from tasks.examples import queries
from tasks.publishing.results import GateResult, PublishResult
from tasks.runs.outcome import ReportResult
from tasks.store.files import Home, read_json
from tasks.store.registry import alias
from tests.tiny_pipelines import BOUGHT, SHOWN, Tiny, in_process, pipeline_file

pytestmark = [in_process, pytest.mark.slow]
LEAKY = "user_item_actions_28d"
HONEST = f'coalesce(feat_user_items."{LEAKY}", 0.0)'
DOCUMENTS = {"shown": SHOWN, "bought": BOUGHT}


@pytest.fixture(params=["shown", "bought"])
def leaking(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """Each of the pipelines, already run honestly; from now on a feature counts the label, too."""
    query = queries.examples

    def with_leak(*arguments: object, **options: object) -> str:
        text = query(*arguments, **options)  # type: ignore[arg-type]
        assert text.count(HONEST) == 1
        return text.replace(HONEST, f"2 * coalesce(labels.grade, 0) + {HONEST}")

    honest: Tiny = request.getfixturevalue(request.param)
    tiny = honest.copied(tmp_path / "home")
    monkeypatch.setattr(queries, "examples", with_leak)
    return tiny


def test_a_planted_leak_is_named_and_nothing_is_published(leaking: Tiny) -> None:
    before = leaking.versions
    with pytest.raises(GateFailed, match=rf"no leakage suspected: {LEAKY} alone has ndcg@10 [01]\.\d+"):
        leaking.run(attempt="leak")

    run = leaking.prepared(attempt="leak")
    assert run.read("evaluate", EvaluateResult).suspicious == (LEAKY,)
    strongest, *others = Leakage.read(run.step_dir("evaluate") / "leakage.json").features
    assert strongest.feature == LEAKY
    assert (strongest.auc or 0.0) > 0.9
    assert (strongest.closes or 0.0) > 0.6
    assert max(power.closes or 0.0 for power in others) < 0.2
    assert leaking.versions == before
    assert len(before) == 1
    assert run.read("report", ReportResult).good is False
    assert "Leakage suspected" in (run.step_dir("report") / "report.html").read_text()


def test_a_leak_that_is_acknowledged_is_published(leaking: Tiny) -> None:
    document = DOCUMENTS[leaking.file.stem]
    evaluate = {**document["evaluate"], "acknowledged": {LEAKY: "The test wants it so."}}
    file = pipeline_file(leaking.home / "pipelines", document, evaluate=evaluate)
    known = Tiny(file, leaking.as_of, leaking.home, leaking.data)

    run = known.run(attempt="known")

    version = run.read("publish", PublishResult).version
    pointer = alias(Home(known.home), file.stem, "champion")
    assert pointer is not None
    assert (pointer.version, pointer.as_of) == (version, known.as_of)
    verdict = run.read("gate", GateResult).gates[-1]
    assert verdict.passed is True
    assert verdict.detail.endswith("acknowledged: The test wants it so.")
    descriptor = read_json(Home(known.home).registry(file.stem) / "versions" / version / "descriptor.json")
    assert descriptor["evaluation"]["gates"][-1] == verdict.to_json()
