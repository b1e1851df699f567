"""The application over HTTP: answers as the engine does, refuses clearly, follows the alias."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.descriptor import Request, read_descriptor
from engine.errors import EngineError
from serving.app import BODY_LIMIT, create_app, main
from serving.champion import Champion, read_alias
from tests.engine.tiny import document, publish

FIRST, SECOND = "2026-02-28.00000001", "2026-03-01.00000002"


def point(registry: Path, version: str, content: str | None = None) -> None:
    content = content or read_descriptor(registry / "tiny" / "versions" / version).content
    alias = registry / "tiny" / "aliases" / "champion.json"
    alias.parent.mkdir(exist_ok=True)
    alias.write_text(json.dumps({"version": version, "content": content}))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    registry = tmp_path_factory.mktemp("registry")
    publish(registry / "tiny" / "versions" / FIRST)
    publish(registry / "tiny" / "versions" / SECOND, {"version": SECOND})
    point(registry, FIRST)
    return registry


@pytest.fixture
def registry(published: Path, tmp_path: Path) -> Path:
    return shutil.copytree(published, tmp_path / "registry")


def ask(champion: Champion, *calls: tuple[str, str, Any]) -> list[httpx.Response]:
    """Send requests (method, path, JSON or bytes) to the application."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(champion), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [
                await client.request(method, path, content=body)
                if isinstance(body, bytes)
                else await client.request(method, path, json=body)
                for method, path, body in calls
            ]

    return asyncio.run(send())


def test_ranks_as_the_engine_does(registry: Path) -> None:
    champion = Champion(registry, "tiny")
    wanted = {"user_id": "ana", "candidates": ["i4", "i1", "nonsense"], "k": 5}
    rank, health, version = ask(
        champion, ("POST", "/rank", wanted), ("GET", "/health", None), ("GET", "/version", None)
    )
    expected = champion.current.engine.rank([Request.model_validate(wanted)])[0]
    assert rank.status_code == 200
    assert rank.json() == {
        "version": FIRST,
        "items": expected.items,
        "scores": expected.scores,
        "titles": expected.titles,
        "population": "*",
        "unknown": ["nonsense"],
    }
    assert health.json() == {"status": "ok", "version": FIRST, "refused": None}
    assert version.json()["as_of"] == "2026-02-28"


def test_a_drawn_list_is_answered_with_its_propensities_and_again_for_the_same_request(tmp_path: Path) -> None:
    rankers = document()["rankers"]
    rankers["*"]["rerank"] = [{"type": "Softmax", "temperature": 1.0, "seed": 7}]
    publish(tmp_path / "tiny" / "versions" / FIRST, {"rankers": rankers})
    point(tmp_path, FIRST)
    call = ("POST", "/rank", {"user_id": "ana", "k": 3, "request_id": "r1"})
    first, again = ask(Champion(tmp_path, "tiny"), call, call)
    assert first.json() == again.json()
    assert len(first.json()["propensities"]) == 3
    assert 0.0 < min(first.json()["propensities"]) <= max(first.json()["propensities"]) <= 1.0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", "/rank", b"{", 400, "not JSON"),
        ("POST", "/rank", b"\xff\xfe", 400, "not JSON"),
        ("POST", "/rank", {}, 422, "user_id: Field required"),
        ("POST", "/rank", {"user_id": "a", "k": -1}, 422, "k: Input should be greater"),
        ("POST", "/rank", {"user_id": "a", "k": "3"}, 422, "k: Input should be a valid integer"),
        ("POST", "/rank", {"user_id": "a", "extra": 1}, 422, "extra: Extra inputs"),
        ("POST", "/rank", [1], 422, "request: Input should be"),
        ("POST", "/rank", b" " * (BODY_LIMIT + 1), 413, "larger than"),
        ("GET", "/rank", None, 405, "Method Not Allowed"),
        ("GET", "/nothing", None, 404, "Not Found"),
    ],
)
def test_bad_requests_are_refused_in_json(
    published: Path, method: str, path: str, body: Any, status: int, text: str
) -> None:
    response = ask(Champion(published, "tiny"), (method, path, body))[0]
    assert response.status_code == status
    assert text in response.json()["error"]


def test_a_failure_is_json_and_says_nothing_about_the_inside(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = Champion(published, "tiny")

    def broken(requests: object) -> None:
        raise ZeroDivisionError("secret")

    object.__setattr__(champion.current.engine, "rank", broken)
    response = ask(champion, ("POST", "/rank", {"user_id": "ana"}))[0]
    assert response.status_code == 500
    assert "secret" not in response.text


def test_follows_the_alias(registry: Path) -> None:
    champion = Champion(registry, "tiny")
    assert champion.follow() is False
    point(registry, SECOND)
    assert champion.follow() is True
    assert champion.current.version == SECOND


def damaged_model(registry: Path) -> None:
    (registry / "tiny" / "versions" / SECOND / "trees.txt").write_text("tree\n")
    point(registry, SECOND)


def wrong_folder(registry: Path) -> None:
    shutil.copytree(registry / "tiny" / "versions" / FIRST, registry / "tiny" / "versions" / "other")
    point(registry, "other")


def garbage(registry: Path) -> None:
    (registry / "tiny" / "aliases" / "champion.json").write_text("{")


def escape(registry: Path) -> None:
    point(registry, "../../etc", "0" * 64)


def other_content(registry: Path) -> None:
    point(registry, FIRST, "0" * 64)  # the name of the served version, published elsewhere with other artifacts


def no_content(registry: Path) -> None:
    point(registry, SECOND, "?")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (damaged_model, "altered after publishing"),
        (wrong_folder, "holds version"),
        (garbage, "not readable"),
        (escape, "is no version"),
        (other_content, "holds other contents"),
        (no_content, "is no content digest"),
    ],
)
def test_a_version_that_does_not_load_leaves_the_old_one(
    registry: Path, damage: Callable[[Path], None], text: str
) -> None:
    champion = Champion(registry, "tiny")
    damage(registry)
    assert champion.follow() is False
    rank, health = ask(champion, ("POST", "/rank", {"user_id": "bob"}), ("GET", "/health", None))
    assert rank.json()["version"] == FIRST
    assert health.json()["status"] == "stale"
    assert text in health.json()["refused"]
    point(registry, FIRST)
    champion.follow()
    assert champion.current.refused is None


def test_the_alias_is_followed_while_the_application_runs(registry: Path) -> None:
    champion = Champion(registry, "tiny")
    app = create_app(champion, poll_seconds=0.02)

    async def run() -> None:
        async with app.router.lifespan_context(app):
            point(registry, SECOND)
            await until(lambda: champion.current.version == SECOND)

    asyncio.run(run())
    assert champion.current.version == SECOND


def until(done: Callable[[], bool]) -> Awaitable[None]:
    async def wait() -> None:
        for _ in range(500):
            if done():
                return
            await asyncio.sleep(0.02)

    return wait()


def test_nothing_published_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match="publish a version of 'tiny' first"):
        read_alias(tmp_path, "tiny")
    assert main(["--registry", str(tmp_path), "--pipeline", "tiny"]) == 1
    assert "cannot serve tiny" in capsys.readouterr().err
