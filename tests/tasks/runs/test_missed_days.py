"""Days that the schedule passed over: which they are, and what runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.runs.missed_days import missed_days
from tasks.store.files import Home


@pytest.mark.parametrize(
    ("attempts", "missed"),
    [
        ([], []),
        (["03-01 scheduled__2026-03-01"], []),
        (["03-01 scheduled__2026-03-01", "03-02 scheduled__2026-03-02"], []),
        (["03-01 scheduled__2026-03-01", "03-05 scheduled__2026-03-05"], ["2026-03-02 to 2026-03-04"]),
        (
            ["03-01 scheduled__2026-03-01", "03-03 backfill__2026-03-03T000000Z", "03-05 scheduled__2026-03-05"],
            ["2026-03-02", "2026-03-04"],
        ),
        # Days that were run by hand, long before the schedule was switched on.
        (["01-01 manual__2026-01-01", "03-05 scheduled__2026-03-05"], []),
        (["01-01 cli", "03-05 scheduled__2026-03-05", "03-07 cli"], []),
    ],
)
def test_days_between_scheduled_ones_are_missed(attempts: list[str], missed: list[str], tmp_path: Path) -> None:
    for attempt in attempts:
        day, name = attempt.split()
        (tmp_path / "runs" / "tiny" / f"2026-{day}" / name).mkdir(parents=True)
    found = missed_days(Home(tmp_path), "tiny", "@daily")
    assert [span.text for span in found] == missed


def test_the_command_runs_them(tmp_path: Path) -> None:
    for day in ("2026-03-01", "2026-03-05"):
        (tmp_path / "runs" / "tiny" / day / f"scheduled__{day}").mkdir(parents=True)
    (span,) = missed_days(Home(tmp_path), "tiny", "0 3 * * *")
    assert missed_days(Home(tmp_path), "tiny", "@weekly") == []
    assert span.command == "matinee backfill tiny --from 2026-03-02 --to 2026-03-04"
