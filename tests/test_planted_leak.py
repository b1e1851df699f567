"""Whole runs of the tiny pipelines with a feature that has seen the label, as a wrong join would make it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import GateFailed
from tasks.examples import queries
from tasks.store.files import Home, read_json
from tasks.store.registry import alias
from tests.tiny_pipelines import BOUGHT, SHOWN, Tiny, in_process, pipeline_file

pytestmark = in_process
LEAKY = "user_item_actions_28d"
HONEST = f'coalesce(feat_user_items."{LEAKY}", 0.0)'
DOCUMENTS = {"shown": SHOWN, "bought": BOUGHT}


@pytest.fixture(params=["shown", "bought"])
def leaking(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """Each of the pipelines, already run honestly; from now on a feature counts the label, too."""
    query = queries.examples

    def with_leak(*arguments: object) -> str:
        text = query(*arguments)  # type: ignore[arg-type]
        assert text.count(HONEST) == 1
        return text.replace(HONEST, f"2 * coalesce(labels.grade, 0) + {HONEST}")

    honest: Tiny = request.getfixturevalue(request.param)
    made = honest.copied(tmp_path / "home")
    monkeypatch.setattr(queries, "examples", with_leak)
    return made


def test_a_planted_leak_is_named_and_nothing_is_published(leaking: Tiny) -> None:
    before = leaking.versions
    with pytest.raises(GateFailed, match=rf"no feature is too good to be true: {LEAKY} alone has ndcg@10 [01]\.\d+"):
        leaking.run(attempt="leak")

    run = leaking.prepared(attempt="leak")
    assert run.result("evaluate")["suspicious"] == [LEAKY]
    figures = read_json(run.step_dir("evaluate") / "suspicion.json")["features"]
    assert figures[0]["feature"] == LEAKY
    assert figures[0]["auc"] > 0.9
    assert figures[0]["closes"] > 0.6
    assert max(row["closes"] for row in figures[1:]) < 0.2
    assert leaking.versions == before
    assert len(before) == 1
    assert run.result("report")["good"] is False
    assert "a possible time traveller" in (run.step_dir("report") / "report.html").read_text()


def test_a_leak_that_is_acknowledged_is_published(leaking: Tiny) -> None:
    document = DOCUMENTS[leaking.file.stem]
    evaluate = {**document["evaluate"], "acknowledged": {LEAKY: "The test wants it so."}}
    file = pipeline_file(leaking.home / "pipelines", document, evaluate=evaluate)
    known = Tiny(file, leaking.as_of, leaking.home, leaking.data)

    run = known.run(attempt="known")

    version = run.result("publish")["version"]
    pointer = alias(Home(known.home), file.stem, "champion")
    assert pointer is not None
    assert (pointer.version, pointer.as_of) == (version, known.as_of)
    verdict = run.result("gate")["gates"][-1]
    assert verdict["passed"] is True
    assert verdict["detail"].endswith("acknowledged: The test wants it so.")
    descriptor = read_json(Home(known.home).registry(file.stem) / "versions" / version / "descriptor.json")
    assert descriptor["evaluation"]["gates"][-1] == verdict
