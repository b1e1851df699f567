from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tasks.checks.verdicts import Check
from tasks.cli.render.checks import brief, render_checks, sparkline, summary


def record(column: str = "rows", **more: Any) -> Check:
    fields = {"suite": "s", "type": "t", "why": "Because.", "next": "nothing", "column": column}
    fields |= {"table": "events", "day": "2026-02-10", "observed": 5, "expected": "at least 3"}
    return Check.model_validate({**fields, "success": True, "severity": "critical", **more})


def text(records: list[Check], **options: Any) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render_checks("landed", records, **options))
    return console.export_text()


def test_what_failed_comes_first_and_the_rest_once() -> None:
    records = [
        record("rows", expected="at least 1"),
        record("rows", expected="at least 3"),
        record("user_id__null_rate", success=False, severity="warning", observed=0.3, expected="at most 5 %"),
        record("rows", day="2026-01-01 to 2026-02-09", observed="as expected on 9 days"),
    ]

    lines = [line.split() for line in text(records).splitlines()]

    assert "3 of 4 checks passed · 1 warning" in text(records)
    assert [line[0] for line in lines[2:]] == ["!", "✓"]
    assert "30 %" in text(records)
    assert "as expected" not in text(records)
    assert "rows" not in text(records, failed_only=True)


def test_text_of_the_data_is_text() -> None:
    assert "[red]x[/red]" in text([record(observed="[red]x[/red]")])


def test_the_day_itself_is_the_end_of_the_trend() -> None:
    days = [["2026-02-08", 1.0], ["2026-02-09", 2.0]]

    assert sparkline(record(trend=days, observed=3)) == "▁▅█"
    assert sparkline(record(trend=days, observed=None)) == "▁█"
    assert sparkline(record(trend=[["2026-02-09", 5.0]])) == "▁▁"
    assert sparkline(record()) == ""


def test_how_many_hold() -> None:
    bad = [record(success=False, severity=severity) for severity in ("info", "critical")]

    assert summary([record(), *bad]) == "1 of 3 checks passed · 1 critical · 1 info"


SHORT = {
    "at least 1 and at most 2": "1 to 2",
    "at most 5 %": "≤ 5 %",
    "exactly 0": "= 0",
    "not judged yet: 2 of at least 5 earlier days": "not judged yet: 2 of ≥ 5 earlier days",
}


@pytest.mark.parametrize(("expected", "short"), list(SHORT.items()))
def test_what_is_expected_in_few_characters(expected: str, short: str) -> None:
    assert brief(expected) == short
