"""Injected faults, what the checks report about them, and whether that counts as caught.

A fault declares beforehand which checks are meant to catch it. It is caught if one of those fails on the faulty day
and passes on the same day without the fault; where publishing must stop, one of those must be critical, and nothing
may have been published. Other failures do not count, but are printed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tasks.checks.verdicts import Check, read_checks
from tasks.publishing.results import GateResult
from tasks.runs.run import Run

LINES = {"landing": "land", "landed": "check_landed", "features": "check_examples", "predictions": "check_predictions"}
"""Lines of defense in order, and the last step of each. `landing`: the source itself could not be landed."""
GATE = "gate"
STEP_LINES = {"check_landed": "landed", "check_features": "features", "check_examples": "features"} | {
    "check_predictions": "predictions",
    "monitor": "features",
}
LONGEST = 90

Inject = Callable[[Run], None]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: the usual name of such a fault.
        what: exactly what is done, so that it can be repeated.
        meant: `<line> <table> <measure>` of the checks that are there to catch it, as shell patterns.
        must_stop: whether nothing may be published; otherwise a warning is enough.
        inject: applies it to a run's home.
        after: the step after which it is injected; empty: before the day is landed.
    """

    name: str
    what: str
    meant: tuple[str, ...]
    must_stop: bool
    inject: Inject
    after: str = ""

    @property
    def lines(self) -> list[str]:
        """Lines of defense where it may be caught, in order."""
        named = {pattern.split(" ", maxsplit=1)[0] for pattern in self.meant}
        return [line for line in (*LINES, GATE) if line in named]


@dataclass(frozen=True, order=True)
class Finding:
    """A check that failed, a gate that failed, or a step that raised an error."""

    line: str
    table: str
    measure: str
    severity: str
    observed: str = ""
    expected: str = ""

    @property
    def name(self) -> str:
        """The text that the patterns of `Fault.meant` are matched against."""
        return f"{self.line} {self.table} {self.measure}"

    @property
    def key(self) -> tuple[str, str]:
        """Identity of the finding, whatever value was observed."""
        return self.name, self.severity


@dataclass(frozen=True)
class Outcome:
    """How a run with a fault ended.

    Attributes:
        findings: all of them, including those that the clean day has too.
        stopped: the step that failed, None if none did.
        published: whether the day has a version now.
        crashed: an error that is not one of ours, so that its message explains nothing to a user.
        seconds: duration of the whole run.
    """

    findings: tuple[Finding, ...]
    stopped: str | None
    published: bool
    crashed: str | None
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """The verdict on a fault.

    Attributes:
        fault: what was injected.
        outcome: how its run ended.
        meant: new findings of the checks that are there to catch it; the clean day does not have them.
        others: all other new findings.
    """

    fault: Fault
    outcome: Outcome
    meant: tuple[Finding, ...]
    others: tuple[Finding, ...]

    @property
    def stopped_publishing(self) -> bool:
        """False only if something was published that must not be."""
        return not (self.fault.must_stop and self.outcome.published)

    @property
    def caught(self) -> bool:
        """Whether a check that is meant to catch it did, with the severity it needs."""
        enough = [one for one in self.meant if one.severity == "critical" or not self.fault.must_stop]
        return bool(enough) and self.stopped_publishing and self.outcome.crashed is None

    @property
    def by(self) -> Finding | None:
        """The finding to show: a critical one if there is one, at the earliest line."""
        order = (*LINES, GATE)
        ranked = sorted(self.meant, key=lambda one: (one.severity != "critical", order.index(one.line), one))
        return ranked[0] if ranked else None

    @property
    def label(self) -> str:
        """The outcome in a word or two, for the table."""
        if self.caught:
            return "caught"
        if not self.stopped_publishing:
            return "PUBLISHED"
        return "by accident" if any(one.severity != "info" for one in self.others) else "MISSED"


def verdict(fault: Fault, outcome: Outcome, clean: Collection[tuple[str, str]]) -> Verdict:
    """Compare the failures with what the fault declares, without those of the clean day."""
    new = [one for one in outcome.findings if one.key not in clean]
    meant = [one for one in new if any(fnmatchcase(one.name, pattern) for pattern in fault.meant)]
    return Verdict(fault, outcome, tuple(meant), tuple(one for one in new if one not in meant))


def findings(run: Run, steps: Sequence[str]) -> list[Finding]:
    """Collect everything that failed in a run's steps, from the files they left."""
    collected: list[Finding] = []
    for step in steps:
        failed = [_of_check(check, step) for check in read_checks(run.step_dir(step)) or () if not check.success]
        collected += failed
        error = run.dir / "errors" / f"{step}.txt"
        explained = step == GATE or any(one.severity == "critical" for one in failed)
        if error.exists() and not explained:
            text = error.read_text(encoding="utf-8").strip().replace("\n", " ")
            for folder in (run.home.root, run.data):
                text = text.replace(str(folder), "…")
            collected.append(
                Finding(STEP_LINES.get(step, "landing" if step == "land" else step), "error", text, "critical")
            )
    gates = run.step_dir(GATE) / "result.json"
    if GATE in steps and gates.exists():
        collected += [
            Finding(GATE, "model", verdict.gate, "critical", verdict.detail, "the gate passes")
            for verdict in GateResult.read(gates).gates
            if not verdict.passed
        ]
    return sorted(set(collected))


def _of_check(check: Check, step: str) -> Finding:
    line = check.line or STEP_LINES[step]
    return Finding(line, check.table, check.column, check.severity, check.shown_observed, check.expected)


def short(text: str, longest: int = LONGEST) -> str:
    """Shorten a text, and escape it, for a cell of a Markdown table."""
    plain = " ".join(text.split()).replace("|", "\\|")
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
