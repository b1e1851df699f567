"""What a message says, and what it never holds, whatever the data holds."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.alerts.faults import faults_of
from tasks.alerts.messages import (
    LONGEST_BODY,
    LONGEST_TITLE,
    clean,
    fault_message,
    live_version,
    ordinal,
    report_link,
    routed_severity,
    stopped_steps,
    task_link,
)
from tasks.store.registry import Alias
from tests.alerting import check, leave, run_of
from tests.tasks.handmade import day

TEXT = st.text(max_size=3000)


@given(TEXT, TEXT, TEXT)
def test_whatever_the_data_holds_a_message_is_short_and_plain(detail: str, why: str, summary: str) -> None:
    run = run_of(Path("/nowhere/at all"))
    fault = faults_of(run.dir, ["build"])[0]
    message = fault_message(run, type(fault)("rule", "critical", "build", summary, detail, why, detail), None)
    assert len(message.title) <= LONGEST_TITLE
    assert len(message.body) <= LONGEST_BODY
    assert message.title.isprintable()
    for text in (message.title, message.body):
        assert not set("<>\r\0\x1b") & set(text)
        assert "@everyone" not in text
        assert "@channel" not in text


def test_what_would_ping_everybody_is_taken_apart() -> None:
    assert clean("<!channel> @Everyone see ndcg@10\x07 at\ta@b.c") == "‹!channel› @ Everyone see ndcg@10 at a@b.c"


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (22, "22nd")]
)
def test_days_are_counted_in_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text


@pytest.mark.parametrize(
    ("step", "severity", "in_airflow", "expected"),
    [
        ("check_examples", "critical", True, ["gate", "publish"]),
        ("check_examples", "critical", False, ["train", "evaluate", "gate", "publish"]),
        ("populations", "critical", True, ["train", "evaluate", "gate", "publish"]),
        ("evaluate", "critical", True, ["gate", "publish"]),
        ("check_landed", "warning", True, []),
        ("monitor", "critical", True, []),
        ("report", "critical", True, []),
    ],
)
def test_stopped_steps(tmp_path: Path, step: str, severity: str, in_airflow: bool, expected: list[str]) -> None:
    run = run_of(tmp_path)
    (fault,) = faults_of(leave(run, [check("rows", severity)], step=step).dir)
    assert [
        name for name in stopped_steps(run, fault, in_airflow=in_airflow) if name != "check_predictions"
    ] == expected


def test_steps_that_have_a_result_were_not_stopped(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check("rows")], step="sample", done=["train/BR", "evaluate"])
    (fault,) = faults_of(run.dir)
    assert "train" not in stopped_steps(run, fault, in_airflow=False)
    assert "publish" in stopped_steps(run, fault, in_airflow=False)


@pytest.mark.parametrize(
    ("as_of", "text"),
    [
        ("2026-03-05", "v (of this day)"),
        ("2026-03-04", "v (1 day older)"),
        ("2026-03-02", "v (3 days older)"),
        ("2026-03-07", "v (2 days newer)"),
    ],
)
def test_the_version_that_is_served_has_an_age(tmp_path: Path, as_of: str, text: str) -> None:
    run = run_of(tmp_path)
    assert live_version(run) == "no version has been published yet"
    served = Alias(version="v", as_of=date.fromisoformat(as_of), content="0" * 64)
    served.write(tmp_path / "registry" / "tiny" / "aliases" / "champion.json")
    assert live_version(run) == text


def test_days_far_behind_the_newest_are_history(tmp_path: Path) -> None:
    leave(run_of(tmp_path, "03-20"), done=["land"])
    assert routed_severity(run_of(tmp_path, "03-12"), "critical") == "info"
    assert routed_severity(run_of(tmp_path, "03-13"), "critical") == "critical"
    assert routed_severity(run_of(tmp_path, "03-25"), "warning") == "warning"


def test_links_lead_to_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = "manual__2026-03-05T00:00:00+00:00"
    monkeypatch.delenv("MATINEE_URL", raising=False)
    assert task_link("tiny", run_id, "build") == ""
    monkeypatch.setenv("MATINEE_URL", "https://airflow.example.org/")
    address = "https://airflow.example.org/dags/tiny/runs/manual__2026-03-05T00%3A00%3A00%2B00%3A00"
    assert task_link("tiny", run_id, "build") == f"{address}/tasks/build"
    assert task_link("tiny", run_id, None) == address
    assert task_link("tiny", None, "build") == ""


def test_the_report_is_a_page_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATINEE_URL", raising=False)
    assert report_link(run_of(tmp_path)) == f"{tmp_path}/runs/tiny/2026-03-05/1/report/report.html"
    monkeypatch.setenv("MATINEE_URL", "http://127.0.0.1:8080")
    address = "http://127.0.0.1:8080/matinee/runs/tiny/2026-03-05/1/report/report.html"
    assert report_link(run_of(tmp_path)) == address


def test_the_newest_day_counts_the_run_itself(tmp_path: Path) -> None:
    assert run_of(tmp_path).as_of == day("03-05")
    assert routed_severity(run_of(tmp_path), "critical") == "critical"
