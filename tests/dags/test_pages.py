"""The application behind the views: who may read what, and that nothing else is read."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.store.files import Home, write_json

# Airflow's API imports a test client of Starlette's, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")

RUN = "manual__2026-02-10T00:00:00+00:00"
REPORT = "/runs/streaming/2026-02-10/manual__2026-02-10T000000Z/report/report.html"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    home = Home(tmp_path)
    folder = home.run_dir("streaming", date(2026, 2, 10), "manual__2026-02-10T000000Z")
    write_json(folder / "land" / "result.json", {"rows_of_day": {"events": 3}})
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text("<p>the report</p>")
    write_json(tmp_path / "airflow" / "keys.json", {"secret": 1})
    return home


def token(role: str | None) -> str:
    from airflow.api_fastapi.app import get_auth_manager, init_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    init_auth_manager()
    jwt: str = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="somebody", role=role))
    return jwt


@pytest.fixture
def visit(home: Home) -> Any:
    """Return a function that asks the application for a path, as somebody with a role."""
    from dags.pages import app

    async def get(path: str, cookies: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=cookies) as client:
            return await client.get(path)

    def ask(path: str, role: str | None = "ADMIN", *, logged_in: bool = True) -> httpx.Response:
        return asyncio.run(get(path, {"_token": token(role)} if logged_in else {}))

    return ask


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/", "streaming"),
        ("/pages/streaming/overview.html", "not finished"),
        ("/pages/streaming/champion.html", "No version has been published yet"),
        (REPORT, "the report"),
        ("/runs/streaming/2026-02-10/manual__2026-02-10T000000Z/land/result.json", "rows_of_day"),
    ],
)
def test_pages_are_for_people_who_are_logged_in(visit: Any, path: str, part: str) -> None:
    seen = visit(path)
    assert seen.status_code == 200
    assert part in seen.text
    refused = visit(path, logged_in=False)
    assert refused.status_code == 401
    assert part not in refused.text


def test_a_user_who_may_not_read_the_dag_may_not_read_its_pages(visit: Any) -> None:
    assert visit(REPORT, role=None).status_code == 403
    assert visit("/pages/streaming/overview.html", role=None).status_code == 403
    assert "streaming" not in visit("/", role=None).text


def test_a_dag_run_leads_to_its_report(visit: Any) -> None:
    answer = visit(f"/run/streaming/{RUN}")
    assert answer.status_code == 307
    assert answer.headers["location"] == REPORT
    assert visit("/run/streaming/other").status_code == 404
    assert visit("/run/another_dag/other").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/airflow/keys.json",
        "/runs/streaming/..%2f..%2fairflow%2fkeys.json",
        "/runs/streaming/%2e%2e/%2e%2e/airflow/keys.json",
        "/runs/..%2fairflow/keys.json",
        "/runs/%2e%2e/airflow/keys.json",
        "/registry/streaming/%2e%2e/%2e%2e/airflow/keys.json",
        "/registry/..%2fairflow/keys.json",
        "/pages/..%2f..%2fx/overview.html",
        "/pages/streaming/..%2f..%2fairflow%2fkeys.json",
        "/pages/streaming/versions/..%2f..%2fairflow%2fkeys.html",
        "/pages/..%2fpyproject/sql.html",
        "/pages/nope/sql.html",
        "/run/streaming/..%2f..%2f..%2fairflow",
        "/run/..%2fairflow/x",
        "/quarantine/streaming/x.json",
        "/openapi.json",
        "/docs",
    ],
)
def test_nothing_else_is_read(visit: Any, path: str) -> None:
    answer = visit(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_answers_keep_to_themselves(visit: Any) -> None:
    for answer in (visit(REPORT), visit("/nope"), visit("/", logged_in=False)):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'self'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_damaged_file_is_named_on_a_page(visit: Any, home: Home) -> None:
    home.registry("streaming").mkdir(parents=True)
    (home.registry("streaming") / "timeline.jsonl").write_text("{torn\n")

    answer = visit("/pages/streaming/champion.html")

    assert answer.status_code == 500
    assert "timeline.jsonl:1: a torn line, expected an event of the timeline; restore timeline.jsonl" in answer.text


def test_dbts_page_is_made_in_the_background_and_may_run_but_fetch_nothing(
    visit: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import Future

    from tasks.features import dbt_docs as sql_docs

    class Worker:
        made: Future[Path] = Future()

        def submit(self, *_: Any) -> Future[Path]:
            return self.made

    monkeypatch.setattr(sql_docs, "_workers", Worker())
    first = visit("/pages/streaming/sql.html")
    (home.root / "made.html").write_text("the tables")
    Worker.made.set_result(home.root / "made.html")
    second = visit("/pages/streaming/sql.html")

    assert 'http-equiv="refresh"' in first.text
    assert second.text == "the tables"
    assert "script-src 'unsafe-inline'" in second.headers["content-security-policy"]
    assert "connect-src" not in second.headers["content-security-policy"]
