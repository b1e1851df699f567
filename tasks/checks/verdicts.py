"""Verdicts: what each check found, as the check steps leave it in `checks.json`, and what follows from it.

`checks.json` is written whatever the verdict; `result.json` only if nothing critical failed, so that a step that
failed looks to its successors like a step that did not run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError, field_serializer

from tasks.checks.profile_columns import ProfileColumn
from tasks.errors import CheckFailed, MatineeError
from tasks.runs.made_by import FILE as MADE_BY_FILE
from tasks.runs.narration import MOST_WARNINGS, say, warn_each
from tasks.runs.steps import BY_NAME
from tasks.store.atomic import atomic_dir
from tasks.store.files import checked_bytes, write_digests, write_json
from tasks.store.records import Record, warn_of_damage

if TYPE_CHECKING:
    from tasks.runs.run import Run

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""From the most to the least severe."""
FILE = "checks.json"
MAX_SHOWN = 20
CHECKED = {
    "check_landed": "landed data",
    "check_features": "features",
    "check_examples": "examples",
    "check_predictions": "predictions",
}
"""What each check step checks, in words."""
NO_FILES: Mapping[str, Record] = {}


class Check(Record):
    """The verdict on one expectation for one table and day."""

    suite: str
    table: str
    day: str
    """ISO day; `<first> to <last>` where many days are reported as one."""
    type: str
    column: str
    severity: Severity
    success: bool
    observed: bool | int | float | str | None
    observed_in: str | None = None
    """Column of a family that gave the observed value."""
    expected: str
    why: str
    next: str
    place: str | None = None
    """File or table that was measured."""
    trend: tuple[tuple[str, int | float], ...] = ()
    """(ISO day, value) of the same measure on the trailing days."""
    low: float | None = None
    high: float | None = None
    """Bounds of what is expected, where they are numbers: the band in the report's plots."""
    line: str | None = None
    """Line of defense it belongs to."""

    @field_serializer("observed", when_used="json")
    def _finite(self, observed: Any) -> Any:
        # JSON has no infinity, and canonical JSON refuses to write one
        return str(observed) if isinstance(observed, float) and not math.isfinite(observed) else observed

    @property
    def failed_critical(self) -> bool:
        """Whether it must stop the run."""
        return not self.success and self.severity == "critical"

    @property
    def title(self) -> str:
        """What people call the measure."""
        return ProfileColumn.parse(self.column).title

    @property
    def is_rate(self) -> bool:
        """Whether the measure is a share of rows."""
        return ProfileColumn.parse(self.column).is_rate

    @property
    def shown_value(self) -> str:
        """The observed value, formatted."""
        return ProfileColumn.parse(self.column).shown(self.observed)

    @property
    def shown_observed(self) -> str:
        """The observed value, formatted, with the column of a family that gave it."""
        return f"{self.shown_value} (in {self.observed_in})" if self.observed_in else self.shown_value

    def words(self) -> str:
        """The verdict as a sentence: where, what was observed, what was expected."""
        verb = ":" if isinstance(self.observed, str) else " is"
        return f"{self.table}, {self.day}: {self.title}{verb} {self.shown_observed}, expected {self.expected}"


_CHECKS = TypeAdapter(tuple[Check, ...])  # built once: that takes longer than reading a file


def read_checks(folder: Path) -> tuple[Check, ...] | None:
    """Read the verdicts in a step's folder; None if there are none, or the file is torn or has another shape."""
    try:
        return _CHECKS.validate_json(checked_bytes(folder / FILE))
    except (MatineeError, OSError, ValidationError) as error:
        warn_of_damage(error)
        return None


def write_checks(folder: Path, checks: Sequence[Check]) -> None:
    """Write verdicts into a step's folder."""
    write_json(folder / FILE, [check.to_json() for check in checks])


class CheckResult(Record):
    """What a check step counts."""

    checked: int
    suites: tuple[str, ...]
    failed_critical: int
    failed_warning: int
    failed_info: int
    warnings: tuple[str, ...]
    """Sentences of the checks of severity `warning` that failed."""

    def summary(self) -> str:
        """How many checks passed, and how many of the others only warn."""
        passed = self.checked - self.failed_critical - self.failed_warning - self.failed_info
        others = {"warn": self.failed_warning, "are only noted": self.failed_info}
        return f"{passed:,} of {self.checked:,} checks passed" + "".join(
            f", {count:,} {verb}" for verb, count in others.items() if count
        )


Result = TypeVar("Result", bound=CheckResult)


def finish(
    run: Run,
    step: str,
    checks: Sequence[Check],
    kind: type[Result],
    files: Mapping[str, Record] = NO_FILES,
    **extra: Any,
) -> Result:
    """Write what a check step leaves.

    Args:
        run: the run.
        step: name of the step.
        checks: all verdicts.
        kind: the step's record.
        files: other records to leave by file name, whatever the verdict.
        extra: what the step's record has beside the counts.

    Raises:
        CheckFailed: something critical failed.
    """
    critical = [check for check in checks if check.failed_critical]
    result = kind(**_counts(checks), **extra)
    # Not `run.write`: the verdicts must be kept where the step fails, and a failed step must leave no result.
    with atomic_dir(run.step_dir(step)) as folder:
        write_checks(folder, [check.model_copy(update={"line": BY_NAME[step].line}) for check in checks])
        for name, record in files.items():
            record.write(folder / name)
        if not critical:
            run.made_by.write(folder / MADE_BY_FILE)
            result.write(folder / "result.json")
        write_digests(folder)
    log_failed(checks, run.step_dir(step) / FILE)
    if critical:
        raise CheckFailed(_failure_text(run, step, critical, len(checks)))
    return result


def _counts(checks: Sequence[Check]) -> dict[str, Any]:
    """What every check step counts, by the fields of `CheckResult`."""
    failed = [check for check in checks if not check.success]
    severities = Counter(check.severity for check in failed)
    return {
        "checked": len(checks),
        "failed_critical": severities["critical"],
        "failed_warning": severities["warning"],
        "failed_info": severities["info"],
        "suites": tuple(sorted({check.suite for check in checks})),
        "warnings": tuple(check.words() for check in failed if check.severity == "warning"),
    }


def log_failed(checks: Sequence[Check], file: Path) -> None:
    """Log what was observed and expected by each check that only warns, and by those that are only noted.

    Args:
        checks: all verdicts; the critical ones that failed are left to the step's error.
        file: where all of them are.
    """
    failed = [check for check in checks if not check.success]
    warn_each([check.words() for check in failed if check.severity == "warning"], str(file))
    noted = [check.words() for check in failed if check.severity == "info"]
    for text in noted[:MOST_WARNINGS]:
        say("noted: {_text}", _text=text)
    if len(noted) > MOST_WARNINGS:
        say("and {left} more are noted: {file}", left=len(noted) - MOST_WARNINGS, file=str(file))


def _failure_text(run: Run, step: str, critical: Sequence[Check], total: int) -> str:
    lines = [
        f"{run.spec.name} as of {run.as_of}: {len(critical)} of {total} checks of the {CHECKED[step]} failed "
        "critically; nothing that depends on it was run."
    ]
    # What was observed and what to do come first, and together: this is read at the top of a log.
    lines += [f"{number}. {check.words()}." for number, check in enumerate(critical[:MAX_SHOWN], 1)]
    if len(critical) > MAX_SHOWN:
        lines.append(f"… and {len(critical) - MAX_SHOWN} more.")
    lines += [f"What to do: {action}" for action in dict.fromkeys(check.next for check in critical)]
    lines += [f"Why it matters: {why}" for why in dict.fromkeys(check.why for check in critical[:MAX_SHOWN])]
    places = dict.fromkeys(check.place for check in critical[:MAX_SHOWN] if check.place)
    return "\n".join([*lines, *(f"Where: {place}" for place in places), f"All results: {run.step_dir(step) / FILE}"])
