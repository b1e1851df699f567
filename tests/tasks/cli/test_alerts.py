"""The commands around alerts, as somebody types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.alerts.outbox import Message, Outbox
from tasks.alerts.sinks import Sink
from tasks.cli import alerts
from tasks.cli.main import app
from tasks.errors import MatineeError, StackError
from tasks.operations.airflow_answers import DagRun
from tasks.store.files import Home
from tests.alerting import check, leave, message, run_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path))
    monkeypatch.setenv("MATINEE_ALERTS", "json://good warning=json://bad")
    monkeypatch.setenv("COLUMNS", "200")

    def send(sink: Sink, _: Message) -> str | None:
        return "the token was revoked" if "bad" in sink.url else None

    monkeypatch.setattr("tasks.alerts.sinks.send", send)
    return tmp_path


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    if isinstance(done.exception, MatineeError):
        raise done.exception
    return done.exit_code, done.output


def test_every_sink_is_tested(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("alerts", "test") == (1, "1:json (critical): ok\n2:json (warning): the token was revoked\n")
    monkeypatch.setenv("MATINEE_ALERTS", "json://good")
    assert call("alerts", "test") == (0, "1:json (critical): ok\n")
    monkeypatch.setenv("MATINEE_ALERTS", "")
    with pytest.raises(MatineeError, match=r"^MATINEE_ALERTS names no sink; set it as in docs/alerts.md"):
        call("alerts", "test")


def test_what_was_sent_and_what_waits(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("alerts", "list") == (0, "no alerts in the last 30 days\n")
    from tasks.alerts.alerts import send_alerts

    send_alerts(leave(run_of(home), [check("rows"), check("n", "warning")]))
    code, text = call("alerts", "list")
    assert code == 0
    rows = [line for line in text.splitlines() if "tiny 2026-03-05" in line]
    assert [("critical" in row, "sent to 1, 2:json waiting" in row) for row in rows] == [(True, True), (False, False)]
    assert "sent to 0, 2:json waiting" in rows[1]
    assert "2:json: 1 failure in a row" in text
    assert call("alerts", "retry") == (1, "sent 0, waiting 2\n2:json: the token was revoked\n")
    monkeypatch.setenv("MATINEE_ALERTS", "json://good warning=json://fixed")
    assert call("alerts", "retry") == (0, "sent 2, waiting 0\n")
    assert Outbox(Home(home)).waiting() == []


def test_pools_of_new_pipeline_files_are_created_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks in a pool that does not exist wait for ever."""
    asked: list[str] = []

    class Server:
        def __init__(self, _home: Path, _url: str) -> None:
            self.answers = bool(asked)
            asked.append("opened")

        def ensure_pools(self) -> None:
            asked.append("pools")
            if not self.answers:
                raise StackError("does not answer")

        def failed_runs(self) -> list[DagRun]:
            return []

        def close(self) -> None:
            return

    monkeypatch.setattr("tasks.operations.local_airflow.airflow_api.Airflow", Server)
    monkeypatch.setenv("MATINEE_PIPELINES", str(tmp_path))
    (tmp_path / "tiny.yaml").touch()
    (tmp_path / "No Name.yaml").touch()
    none = frozenset[str]()
    assert alerts._maintain_airflow(Home(home), None, none) == none
    assert alerts._maintain_airflow(Home(home), "http://x", none) == none, "the next poll tries again"
    known = alerts._maintain_airflow(Home(home), "http://x", none)
    assert known == {"tiny.tables", "trainings"}
    assert alerts._maintain_airflow(Home(home), "http://x", known) == known
    assert asked == ["opened", "pools"] * 2 + ["opened"]


def test_a_poll_from_cron_sends_what_waits(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("MATINEE_PIPELINES", str(tmp_path / "pipelines"))
    monkeypatch.setenv("MATINEE_ALERTS", "json://good")
    Outbox(Home(home)).add("tiny", lambda _: [message()])
    assert call("watch", "--once") == (0, "")
    (entry,) = Outbox(Home(home)).entries()
    assert (Outbox(Home(home)).is_settled(entry.message), len(entry.delivered)) == (True, 1)
