"""Telling of a run: each fault once, escalations, too many, resolved; and a run that no sink can change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import tasks.alerts.alerts
import tasks.operations.run_all
from tasks.alerts.alerts import EACH, collect, is_green, no_green_run, send_alerts
from tasks.alerts.outbox import Message, Spool
from tasks.alerts.sinks import Sink
from tasks.errors import GateFailed, MatineeError
from tasks.runs.run import Run
from tasks.store.files import Home, write_json
from tests.alerting import check, gate, leave, run_of


def told(run: Run, **how: Any) -> list[tuple[str, str]]:
    return [(message.severity, message.title) for message in collect(run, Spool(run.home), **how)]


def test_a_fault_is_told_once_in_all_attempts_and_when_it_gets_worse(tmp_path: Path) -> None:
    first, second = run_of(tmp_path, attempt="1"), run_of(tmp_path, attempt="2")
    leave(first, [check("rows", "warning")])
    assert told(first) == [("warning", "tiny 2026-03-05: warning: events: rows is 0.31")]
    assert told(first) == []
    leave(second, [check("rows", "warning")])
    assert told(second) == []
    leave(second, [check("rows", "critical")])
    assert told(second) == [("critical", "tiny 2026-03-05: critical: events: rows is 0.31")]
    assert told(first) == []
    leave(run_of(tmp_path, "03-06"), [check("rows", "warning")])
    assert len(told(run_of(tmp_path, "03-06"))) == 1


def test_what_is_too_much_shares_a_message_and_nothing_is_left_out(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check(f"c{n:02}", "warning" if n else "critical") for n in range(EACH + 4)])
    messages = collect(run, Spool(run.home))
    assert [message.kind for message in messages].count("fault") == EACH
    (more,) = [message for message in messages if message.kind == "more"]
    assert more.title == "tiny 2026-03-05: warning: 4 more faults of this day"
    assert more.body.count("\n- warning: events: c") == 4
    assert len({rule for message in messages for rule in message.faults}) == EACH + 4
    leave(run, [check(f"c{n:02}", "warning" if n else "critical") for n in range(EACH + 5)])
    (later,) = collect(run, Spool(run.home))
    assert later.kind == "more"
    assert list(later.faults) == [f"check_landed: events: c{EACH + 4} column_values_to_be_between"]


def test_old_days_are_told_as_info(tmp_path: Path) -> None:
    leave(run_of(tmp_path, "03-20"), done=["land"])
    run = leave(run_of(tmp_path), [check("rows")])
    assert told(run) == [("info", "tiny 2026-03-05: critical: events: rows is 0.31")]


def test_a_rule_that_holds_again_is_told_once(tmp_path: Path) -> None:
    leave(run_of(tmp_path, "03-03"), [check("rows"), check("n", "warning")], gates=[gate()])
    collect(run_of(tmp_path, "03-03"), Spool(Home(tmp_path)), finished=True)

    # Rows hold again; n was not looked at; the gate was not reached.
    leave(run_of(tmp_path, "03-04"), [check("rows", success=True)])
    assert told(run_of(tmp_path, "03-04")) == []  # not over yet
    resolved = ("critical", "tiny 2026-03-04: resolved: check_landed: events: rows column_values_to_be_between")
    assert told(run_of(tmp_path, "03-04"), finished=True) == [resolved]
    assert told(run_of(tmp_path, "03-04"), finished=True) == []

    leave(run_of(tmp_path, "03-05"), [check("rows", success=True), check("n", success=True)])
    leave(run_of(tmp_path, "03-05"), gates=[gate(passed=True)])
    assert told(run_of(tmp_path, "03-05"), finished=True) == [
        ("critical", "tiny 2026-03-05: resolved: gate: ndcg@10 beats popularity by 0.01"),
        ("warning", "tiny 2026-03-05: resolved: check_landed: events: n column_values_to_be_between"),
    ]

    leave(run_of(tmp_path, "03-06"), [check("rows")])
    assert len(told(run_of(tmp_path, "03-06"))) == 1
    leave(run_of(tmp_path, "03-07"), [check("rows", success=True)])
    assert len(told(run_of(tmp_path, "03-07"), finished=True)) == 1


def test_days_in_another_order_resolve_no_later_fault(tmp_path: Path) -> None:
    collect(leave(run_of(tmp_path, "03-05"), [check("rows")]), Spool(Home(tmp_path)))
    assert told(leave(run_of(tmp_path, "03-04"), [check("rows", success=True)]), finished=True) == []


def test_a_killed_task_is_told_once_however_often_it_is_noticed(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    noticed = [told(run, failed=["build", "report"], run_id="r", finished=over) for over in (False, True, False)]
    assert noticed == [[("critical", "tiny 2026-03-05: critical: the step build failed")], [], []]


def test_a_green_run_resolves_that_there_was_none(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), done=["publish", "report"])
    missing = Message("tiny", "2026-03-05", "critical", "fault", {no_green_run("2026-03-05"): "critical"}, "t", "b")
    Spool(run.home).add("tiny", lambda _: [missing])
    assert is_green(run.dir)
    assert told(run, finished=True) == [("critical", "tiny 2026-03-05: resolved: no green run of 2026-03-05")]


@pytest.mark.parametrize("spoil", ["words", "verdict", "nothing"])
def test_a_run_is_green_only_if_all_of_it_is(tmp_path: Path, spoil: str) -> None:
    run = run_of(tmp_path)
    if spoil == "words":
        leave(run, words={"monitor": "no"}, done=["report"])
    elif spoil == "verdict":
        write_json(run.step_dir("report") / "result.json", {"good": False})
    assert not is_green(run.dir)


@pytest.mark.parametrize("sinks", ["", "json://127.0.0.1:1", "no url", "nosuch://x"])
def test_no_sink_changes_what_a_run_ends_with(sinks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sinks that are absent, dead or wrong; and the run that fails, or does not, is the same."""

    def fail(run: Run) -> dict[str, Any]:
        write_json(run.step_dir("gate") / "gates.json", [gate()])
        raise GateFailed("it does not hold")

    def write(run: Run) -> dict[str, Any]:
        with run.step("report", {"good": True}):
            return {}

    monkeypatch.setenv("MATINEE_ALERTS", sinks)
    monkeypatch.setattr("tasks.reports.run_report.report_step", write)
    monkeypatch.setattr("tasks.operations.summary.run_summary", lambda *_: "")
    monkeypatch.setattr(tasks.operations.run_all, "sequence", lambda: {"gate": fail})
    with pytest.raises(GateFailed, match=r"^it does not hold$"):
        tasks.operations.run_all.run_all(run_of(tmp_path), Console(quiet=True))
    assert len(Spool(Home(tmp_path)).entries()) == 1
    monkeypatch.setattr(tasks.operations.run_all, "sequence", lambda: {"land": lambda _: {}})
    tasks.operations.run_all.run_all(run_of(tmp_path, "03-06"), Console(quiet=True))


def test_a_report_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Run) -> dict[str, Any]:
        raise MatineeError("no template")

    monkeypatch.setattr("tasks.reports.run_report.report_step", fail)
    monkeypatch.setattr(tasks.operations.run_all, "sequence", lambda: {"land": lambda _: {}})
    with pytest.raises(MatineeError, match=r"^no template$"):
        tasks.operations.run_all.run_all(run_of(tmp_path), Console(quiet=True))
    titles = [entry.message.title for entry in Spool(Home(tmp_path)).entries()]
    assert titles == ["tiny 2026-03-05: critical: the step report failed"]


@pytest.mark.parametrize("part", ["collect", "deliver"])
def test_what_goes_wrong_with_telling_stays_there(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(f"tasks.alerts.alerts.{part}", broken)
    send_alerts(leave(run_of(tmp_path), [check("rows")]))
    assert "the disk is full" in caplog.text


def test_what_could_not_be_written_is_told_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = leave(run_of(tmp_path), [check("rows")])
    (tmp_path / "alerts").write_text("a file where the folder should be")
    send_alerts(run)
    (tmp_path / "alerts").unlink()
    sent: list[str] = []

    def take(_: Sink, message: Message) -> None:
        sent.append(message.title)

    real: Callable[..., int] = tasks.alerts.alerts.deliver
    monkeypatch.setenv("MATINEE_ALERTS", "json://127.0.0.1:1")
    monkeypatch.setattr("tasks.alerts.alerts.deliver", lambda spool, to, **how: real(spool, to, via=take, **how))
    for _ in range(3):
        send_alerts(run)
    assert sent == ["tiny 2026-03-05: critical: events: rows is 0.31"]
