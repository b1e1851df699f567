"""Rejected rows on the terminal: the line of the file, or why there is none."""

from __future__ import annotations

from datetime import date

from tasks.cli.render.quarantine import render_rejected_rows
from tasks.operations.terminal import plain_console
from tasks.quarantine.rejected_rows import RejectedRow
from tasks.spec.spec import Spec
from tests.tasks.handmade import spec_of

SHOP = spec_of(source={"type": "files", "dataset": "ml_latest_small"})


def shown(spec: Spec, *lines: int | None) -> str:
    rows = [
        RejectedRow(f"id{n}", "ratings", "missing_id", date(2026, 1, 1), line, None, '{"a": null}', "2026-01-01/cli")
        for n, line in enumerate(lines)
    ]
    console = plain_console()
    console.width = 300
    with console.capture() as captured:
        console.print(render_rejected_rows(spec, rows))
    return captured.get()


def test_a_line_that_is_known_is_shown() -> None:
    said = shown(SHOP, 17, None)
    assert "line" in said.splitlines()[1]
    assert "17" in said
    assert "unknown" in said
    assert "no line" not in said


def test_without_lines_the_reason_stands_instead_of_an_empty_column() -> None:
    said = shown(SHOP, None, None)
    assert "no line: the SQL keeps none of ratings; to have it, declare line_number (bigint) of ratings under" in said
    assert "transforms/models/staging/ml_latest_small" in said
    assert "–" not in said
    assert "no line: the source is simulated and has no files" in shown(spec_of(), None)
