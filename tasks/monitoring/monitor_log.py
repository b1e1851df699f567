"""What the step `monitor` says beside its checks: what was compared, and what could not be."""

from __future__ import annotations

from tasks.monitoring.drift import Drift, Level
from tasks.runs.narration import say, warn

WORDS: dict[Level, str] = {
    "drifted": "have drifted",
    "shifted": "have shifted, less than a drift",
    "too_few": "are too few to tell drift from noise",
    "warming_up": "are still warming up, as their window is longer than the history",
}


def say_drift(shifts: Drift) -> None:
    """Log what was compared, which distributions are not stable, and why some could not be compared."""
    if shifts.problem is not None:
        warn("not compared: {why}", why=shifts.problem)
    if shifts.reference is None or shifts.current is None:
        return
    before, after = shifts.reference, shifts.current
    say(
        "{distributions} distributions of {part} ({first} to {last}, {rows:,} rows, {groups:,} groups) compared with "
        "{kind} ({from_day} to {to_day}, {reference_rows:,} rows)",
        distributions=len(shifts.compared), part=after.part, first=after.first, last=after.last, rows=after.rows,
        groups=after.groups, kind=before.kind, from_day=before.first, to_day=before.last, reference_rows=before.rows,
    )  # fmt: skip
    for level, words in WORDS.items():
        if names := [record.feature for record in shifts.compared if record.level == level]:
            say("{count} {_words}: {names}", count=len(names), _words=words, names=names)
