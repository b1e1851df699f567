"""Alerts of a run: each fault once, escalations, too many, resolved; and a run that no sink can change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import tasks.alerts.alerts
import tasks.operations.run_all
from tasks.alerts.alerts import MOST_MESSAGES, is_green, no_green_run_rule, send_alerts, write_messages
from tasks.alerts.outbox import Message, Outbox
from tasks.alerts.sinks import Sink
from tasks.errors import GateFailed, MatineeError
from tasks.runs.outcome import ReportResult
from tasks.runs.run import Run
from tasks.store.files import Home, write_json
from tasks.store.records import write_list
from tests.alerting import check, gate, leave, message, run_of


def notify(run: Run, **how: Any) -> list[tuple[str, str]]:
    return [(message.severity, message.title) for message in write_messages(run, Outbox(run.home), **how)]


def test_a_fault_is_notified_of_once_in_all_attempts_and_when_it_gets_worse(tmp_path: Path) -> None:
    first, second = run_of(tmp_path, attempt="1"), run_of(tmp_path, attempt="2")
    leave(first, [check("rows", "warning")])
    assert notify(first) == [("warning", "tiny 2026-03-05: warning: events: rows is 0.31")]
    assert notify(first) == []
    leave(second, [check("rows", "warning")])
    assert notify(second) == []
    leave(second, [check("rows", "critical")])
    assert notify(second) == [("critical", "tiny 2026-03-05: critical: events: rows is 0.31")]
    assert notify(first) == []
    leave(run_of(tmp_path, "03-06"), [check("rows", "warning")])
    assert len(notify(run_of(tmp_path, "03-06"))) == 1


def test_what_is_too_much_shares_a_message_and_nothing_is_left_out(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check(f"c{n:02}", "warning" if n else "critical") for n in range(MOST_MESSAGES + 4)])
    messages = write_messages(run, Outbox(run.home))
    assert [message.kind for message in messages].count("fault") == MOST_MESSAGES
    (more,) = [message for message in messages if message.kind == "more"]
    assert more.title == "tiny 2026-03-05: warning: 4 more faults of this day"
    assert more.body.count("\n- warning: events: c") == 4
    assert len({rule for message in messages for rule in message.faults}) == MOST_MESSAGES + 4
    leave(run, [check(f"c{n:02}", "warning" if n else "critical") for n in range(MOST_MESSAGES + 5)])
    (later,) = write_messages(run, Outbox(run.home))
    assert later.kind == "more"
    assert list(later.faults) == [f"check_landed: events: c{MOST_MESSAGES + 4} column_values_to_be_between"]


def test_old_days_are_routed_as_info(tmp_path: Path) -> None:
    leave(run_of(tmp_path, "03-20"), done=["land"])
    run = leave(run_of(tmp_path), [check("rows")])
    assert notify(run) == [("info", "tiny 2026-03-05: critical: events: rows is 0.31")]


def test_a_rule_that_passes_again_is_resolved_once(tmp_path: Path) -> None:
    leave(run_of(tmp_path, "03-03"), [check("rows"), check("n", "warning")], gates=[gate()])
    write_messages(run_of(tmp_path, "03-03"), Outbox(Home(tmp_path)), finished=True)

    # Rows pass again; n was not checked; the gate was not reached.
    leave(run_of(tmp_path, "03-04"), [check("rows", success=True)])
    assert notify(run_of(tmp_path, "03-04")) == []  # not over yet
    resolved = ("critical", "tiny 2026-03-04: resolved: check_landed: events: rows column_values_to_be_between")
    assert notify(run_of(tmp_path, "03-04"), finished=True) == [resolved]
    assert notify(run_of(tmp_path, "03-04"), finished=True) == []

    leave(run_of(tmp_path, "03-05"), [check("rows", success=True), check("n", success=True)])
    leave(run_of(tmp_path, "03-05"), gates=[gate(passed=True)])
    assert notify(run_of(tmp_path, "03-05"), finished=True) == [
        ("critical", "tiny 2026-03-05: resolved: gate: ndcg@10 beats popularity by 0.01"),
        ("warning", "tiny 2026-03-05: resolved: check_landed: events: n column_values_to_be_between"),
    ]

    leave(run_of(tmp_path, "03-06"), [check("rows")])
    assert len(notify(run_of(tmp_path, "03-06"))) == 1
    leave(run_of(tmp_path, "03-07"), [check("rows", success=True)])
    assert len(notify(run_of(tmp_path, "03-07"), finished=True)) == 1


def test_days_in_another_order_resolve_no_later_fault(tmp_path: Path) -> None:
    write_messages(leave(run_of(tmp_path, "03-05"), [check("rows")]), Outbox(Home(tmp_path)))
    assert notify(leave(run_of(tmp_path, "03-04"), [check("rows", success=True)]), finished=True) == []


def test_a_killed_task_is_notified_of_once_however_often_it_is_noticed(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    noticed = [
        notify(run, failed_tasks=["build", "report"], run_id="r", finished=over) for over in (False, True, False)
    ]
    assert noticed == [[("critical", "tiny 2026-03-05: critical: the step build failed")], [], []]


def test_a_green_run_resolves_that_there_was_none(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), done=["publish", "report"])
    missing = message(no_green_run_rule("2026-03-05"))
    Outbox(run.home).add("tiny", lambda _: [missing])
    assert is_green(run.dir)
    assert notify(run, finished=True) == [("critical", "tiny 2026-03-05: resolved: no green run of 2026-03-05")]


@pytest.mark.parametrize("spoil", ["error", "verdict", "nothing"])
def test_a_run_is_green_only_if_all_of_it_is(tmp_path: Path, spoil: str) -> None:
    run = run_of(tmp_path)
    if spoil == "error":
        leave(run, errors={"monitor": "no"}, done=["report"])
    elif spoil == "verdict":
        write_json(run.step_dir("report") / "result.json", {"report": "r", "verdict": "stopped", "good": False})
    assert not is_green(run.dir)


@pytest.mark.parametrize("sinks", ["", "json://127.0.0.1:1", "no url", "nosuch://x"])
def test_no_sink_changes_what_a_run_ends_with(sinks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sinks that are absent, dead or wrong; and the run that fails, or does not, is the same."""

    def fail(run: Run) -> dict[str, Any]:
        write_list(run.step_dir("gate") / "gates.json", [gate()])
        raise GateFailed("a gate failed")

    def write(run: Run) -> dict[str, Any]:
        with run.write("report") as folder:
            folder.result = ReportResult(report="report/report.html", verdict="published", good=True)
        return {}

    monkeypatch.setenv("MATINEE_ALERTS", sinks)
    monkeypatch.setattr("tasks.reports.run_report.report_step", write)
    monkeypatch.setattr("tasks.operations.summary.run_summary", lambda *_: "")
    monkeypatch.setattr(tasks.operations.run_all, "sequence", lambda: {"gate": fail})
    with pytest.raises(GateFailed, match=r"^a gate failed$"):
        tasks.operations.run_all.run_all(run_of(tmp_path), Console(quiet=True))
    assert len(Outbox(Home(tmp_path)).entries()) == 1
    monkeypatch.setattr(tasks.operations.run_all, "sequence", lambda: {"land": lambda _: {}})
    tasks.operations.run_all.run_all(run_of(tmp_path, "03-06"), Console(quiet=True))


def test_a_report_that_fails_is_notified_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Run) -> dict[str, Any]:
        raise MatineeError("no template")

    monkeypatch.setattr("tasks.reports.run_report.report_step", fail)
    monkeypatch.setattr(tasks.operations.run_all, "sequence", lambda: {"land": lambda _: {}})
    with pytest.raises(MatineeError, match=r"^no template$"):
        tasks.operations.run_all.run_all(run_of(tmp_path), Console(quiet=True))
    titles = [entry.message.title for entry in Outbox(Home(tmp_path)).entries()]
    assert titles == ["tiny 2026-03-05: critical: the step report failed"]


@pytest.mark.parametrize("part", ["write_messages", "deliver"])
def test_what_goes_wrong_with_an_alert_stays_there(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(f"tasks.alerts.alerts.{part}", broken)
    send_alerts(leave(run_of(tmp_path), [check("rows")]))
    assert "the disk is full" in caplog.text


def test_what_could_not_be_written_is_written_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = leave(run_of(tmp_path), [check("rows")])
    (tmp_path / "alerts").write_text("a file where the folder should be")
    send_alerts(run)
    (tmp_path / "alerts").unlink()
    sent: list[str] = []

    def take(_: Sink, message: Message) -> None:
        sent.append(message.title)

    real: Callable[..., int] = tasks.alerts.alerts.deliver
    monkeypatch.setenv("MATINEE_ALERTS", "json://127.0.0.1:1")
    monkeypatch.setattr("tasks.alerts.alerts.deliver", lambda *args, **how: real(*args, via=take, **how))
    for _ in range(3):
        send_alerts(run)
    assert sent == ["tiny 2026-03-05: critical: events: rows is 0.31"]
