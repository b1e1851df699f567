"""Mail and webhook get each fault once, while both are killed and started again and processes notify of it at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.alerts.outbox import Outbox
from tasks.alerts.watchdog import Watch
from tasks.store.files import Home
from tests.alerting import check, gate, leave, run_of
from tests.receivers import Receiver

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture
def mail(tmp_path: Path) -> Iterator[Receiver]:
    yield from serving(Receiver("smtp", tmp_path / "mail.jsonl"))


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Receiver]:
    yield from serving(Receiver("webhook", tmp_path / "webhook.jsonl"))


def serving(receiver: Receiver) -> Iterator[Receiver]:
    receiver.start()
    yield receiver
    receiver.kill()


def notify_at_once(home: Path, *runs: tuple[str, str]) -> None:
    """Send the alerts of runs, each in a process of its own, all at the same time."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.alerting", str(home)]
    processes = [subprocess.Popen([*command, *run], cwd=PROJECT) for run in runs]
    assert [process.wait(120) for process in processes] == [0] * len(runs)


def poll(home: Path, hours: int) -> None:
    """Poll as `matinee watch` does, so many hours from now: no sink is paused any more."""
    nothing = home / "no pipelines"
    Watch(Home(home), nothing).poll(datetime.now(UTC) + timedelta(hours=hours))


@pytest.mark.slow
def test_each_fault_arrives_once(
    tmp_path: Path, mail: Receiver, webhook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("MATINEE_ALERTS", f"{mail.url} warning={webhook.url}")

    # Both are there, and two processes notify of the same run.
    for attempt in ("1", "2"):
        run = run_of(home, "03-05", attempt)
        leave(run, [check("user_id__null_rate"), check("rows", "warning"), check("value__max", success=True)])
        leave(run, gates=[gate()])
    notify_at_once(home, ("03-05", "1"), ("03-05", "2"))
    critical = [
        "tiny 2026-03-05: critical: events: null rate of user_id is 31 %",
        "tiny 2026-03-05: critical: gate failed: ndcg@10 beats popularity by 0.01",
    ]
    warnings = ["tiny 2026-03-05: warning: events: rows is 0.31"]
    assert mail.titles == sorted(critical)
    assert webhook.titles == sorted(critical + warnings)

    # The mail server is dead: the webhook gets its message, the mail waits.
    mail.kill()
    leave(run_of(home, "03-06"), errors={"build": "no such table"})
    notify_at_once(home, ("03-06", "1"), ("03-06", "1"))
    critical.append("tiny 2026-03-06: critical: the step build failed")
    assert mail.titles == sorted(critical[:2])
    assert webhook.titles == sorted(critical + warnings)
    assert [entry.message.title for entry in Outbox(Home(home)).waiting()] == critical[2:]

    # Now the webhook is dead, too, and a second attempt fails for one reason more.
    webhook.kill()
    leave(run_of(home, "03-06", "2"), errors={"build": "no such table", "train-BR": "empty"})
    notify_at_once(home, ("03-06", "2"))
    poll(home, 1)
    mail.start()
    poll(home, 2)
    critical.append("tiny 2026-03-06: critical: the step train failed")
    assert mail.titles == sorted(critical)
    assert webhook.titles == sorted(critical[:3] + warnings)

    # Everybody is back, and every run is notified of again, at once, several times.
    webhook.start()
    poll(home, 3)
    notify_at_once(home, ("03-05", "1"), ("03-06", "1"), ("03-06", "2"), ("03-05", "2"))
    poll(home, 4)
    assert mail.titles == sorted(critical)
    assert webhook.titles == sorted(critical + warnings)
    assert Outbox(Home(home)).waiting() == []


@pytest.mark.slow
def test_a_message_says_what_one_needs_to_know(
    tmp_path: Path, webhook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_ALERTS", webhook.url)
    monkeypatch.delenv("MATINEE_URL", raising=False)
    home = tmp_path / "home"
    for on in ("03-03", "03-04", "03-05"):
        leave(run_of(home, on), [check("user_id__null_rate")])
    notify_at_once(home, ("03-05", "1"))
    stopped = "build, check_features, retrieve, sample, check_examples, train, evaluate, check_predictions, gate, "
    assert webhook.taken[0]["body"].splitlines() == [
        "events of 2026-03-05: null rate of user_id is 31 %, expected at most 1 %",
        "Why it matters: it matters",
        "Since: 2026-03-03, the 3rd day in a row",
        f"Stopped: {stopped}publish",
        "Served: no version has been published yet",
        f"Report: {home}/runs/tiny/2026-03-05/1/report/report.html",
        "Next: ask the source",
        "Runbook: docs/runbooks/check-failed.md",
    ]
