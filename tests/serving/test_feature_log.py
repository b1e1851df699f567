"""The log of features: what a line holds, that it is bounded, and that no answer waits for it or fails by it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.descriptor import Request, read_descriptor
from engine.ranking import Engine, load
from serving.app import create_app, main
from serving.champion import Champion, Loaded
from serving.feature_log import FeatureLog, Limits, clock
from tests.engine.tiny import publish

VERSION = "2026-02-28.00000001"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TONIGHT = datetime(2026, 3, 2, 0, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    publish(folder / "tiny" / "versions" / VERSION)
    (folder / "tiny" / "aliases").mkdir()
    content = read_descriptor(folder / "tiny" / "versions" / VERSION).content
    (folder / "tiny" / "aliases" / "champion.json").write_text(json.dumps({"version": VERSION, "content": content}))
    return folder


@pytest.fixture(scope="module")
def engine(registry: Path) -> Engine:
    return load(registry / "tiny" / "versions" / VERSION)


def offer(log: FeatureLog, engine: Engine, user: str, count: int = 1) -> None:
    request = Request(user_id=user, k=3)
    for _ in range(count):
        log.offer(Loaded(engine, VERSION), request, *engine.explain(request))


def lines(folder: Path, day: str = "2026-03-01") -> list[dict[str, Any]]:
    files = sorted((folder / f"ds={day}").glob("*.jsonl"))
    texts = [path.read_text() for path in files if path.name[0] != "."]
    return [json.loads(line) for text in texts for line in text.splitlines() if line]


def ask(app: Any, *bodies: dict[str, Any]) -> list[httpx.Response]:
    async def send() -> list[httpx.Response]:
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
        ):
            return [await client.post("/rank", json=body) for body in bodies]

    return asyncio.run(send())


def test_a_line_holds_what_the_answer_was_computed_from(registry: Path, engine: Engine, tmp_path: Path) -> None:
    log = FeatureLog(tmp_path, 1.0, now=lambda: NOON)
    body = {"user_id": "ana", "k": 2, "context": {"region": "BR"}}
    (response,) = ask(create_app(Champion(registry, "tiny"), log=log), body)

    (line,) = lines(tmp_path)
    answer, why = engine.explain(Request.model_validate(body))
    assert response.json()["scores"] == line["scores"] == answer.scores
    assert response.json()["items"] == line["items"]
    assert {key: line[key] for key in ("at", "version", "as_of", "user_id", "population", "k", "given")} == {
        "at": "2026-03-01T12:00:00+00:00",
        "version": VERSION,
        "as_of": "2026-02-28",
        "user_id": "ana",
        "population": "BR",
        "k": 2,
        "given": False,
    }
    assert tuple(line["features"]) == why.names
    assert line["features"]["user_plays_28d"] == [None, None]  # a missing value
    assert line["context"] == {}  # no feature reads any of it
    assert set(line) == {
        "at", "version", "as_of", "user_id", "population", "context", "k", "given", "items", "scores", "features",
        "checksum",
    }  # fmt: skip


def test_answers_are_the_same_with_and_without_the_log(registry: Path, tmp_path: Path) -> None:
    champion, bodies = Champion(registry, "tiny"), [{"user_id": "ana"}, {"user_id": "bob", "candidates": ["i4", "i1"]}]
    logged = ask(create_app(champion, log=FeatureLog(tmp_path, 1.0)), *bodies)
    plain = ask(create_app(champion), *bodies)

    assert [r.json() for r in logged] == [r.json() for r in plain]


def test_the_same_share_of_users_is_logged_everywhere(tmp_path: Path) -> None:
    users = [f"u{n}" for n in range(4000)]
    chosen = [[user for user in users if FeatureLog(tmp_path, share).wants(user)] for share in (0.0, 0.1, 0.2, 1.0)]

    assert [len(own) for own in chosen] == [0, pytest.approx(400, abs=60), pytest.approx(800, abs=80), 4000]
    assert set(chosen[1]) < set(chosen[2])


def test_a_full_queue_drops_and_does_not_wait(engine: Engine, tmp_path: Path) -> None:
    log = FeatureLog(tmp_path, 1.0, Limits(waiting=2), now=lambda: NOON)
    offer(log, engine, "ana", count=5)  # nobody writes yet
    assert log.unlogged == 3
    log.start()
    log.stop()

    assert len(lines(tmp_path)) == 2


def test_files_are_closed_by_size_and_by_day(engine: Engine, tmp_path: Path) -> None:
    times = iter([NOON, NOON, TONIGHT])
    log = FeatureLog(tmp_path, 1.0, Limits(file_bytes=1), now=lambda: next(times))
    offer(log, engine, "ana", count=3)
    log.start()
    log.stop()

    assert len(list((tmp_path / "ds=2026-03-01").iterdir())) == 2
    assert len(lines(tmp_path, "2026-03-02")) == 1


def test_a_day_has_its_share_of_the_disk(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "ds=2026-03-01").mkdir()
    (tmp_path / "ds=2026-03-01" / "of-another-process.jsonl").write_bytes(b"\n" * 500)
    log = FeatureLog(tmp_path, 1.0, Limits(day_bytes=1700), now=lambda: NOON)
    offer(log, engine, "ana", count=10)
    log.start()
    log.stop()

    assert 0 < len(lines(tmp_path)) < 10
    assert log.unlogged == 10 - len(lines(tmp_path))
    assert sum(path.stat().st_size for path in (tmp_path / "ds=2026-03-01").iterdir()) <= 1700


def test_a_disk_that_fails_fails_no_answer(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    log = FeatureLog(tmp_path / "file", 1.0)
    responses = ask(create_app(Champion(registry, "tiny"), log=log), {"user_id": "ana"}, {"user_id": "bob"})

    assert [response.status_code for response in responses] == [200, 200]
    assert log.unlogged == 2


def test_the_clock_of_a_replay_shows_its_day() -> None:
    assert clock(date(2026, 3, 1))().date() == date(2026, 3, 1)
    assert clock(date(2026, 3, 1))().tzinfo is UTC


@pytest.mark.parametrize("share", ["1.1", "-0.1", "some"])
def test_a_share_that_is_none_is_refused(share: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--registry", "r", "--pipeline", "p", "--log-features", share])
    assert "--log-features" in capsys.readouterr().err
