"""What the steps `gate` and `publish` leave for pages, alerts and commands."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tasks.store.records import PathInside, PlainName, Record, read_list_if_valid

GATE_STEP = "gate"
PUBLISH_STEP = "publish"
VERDICTS_FILE = "gates.json"


class GateVerdict(Record):
    """Whether one gate passed, and what was measured.

    Attributes:
        gate: the gate as a sentence.
        passed: whether the model may be published as far as this gate goes.
        detail: the figures behind the verdict.
    """

    gate: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.gate}: {self.detail}"


class GateResult(Record):
    """All verdicts on a model.

    Attributes:
        passed: whether every gate passed.
        gates: those of the pipeline file in their order, then the refit's, then leakage.
        version: the version that the model becomes.
        champion: the version it was compared with; None if there was none, or no gate compares with it.
    """

    passed: bool
    gates: list[GateVerdict]
    version: PlainName
    champion: PlainName | None = None

    def summary(self) -> str:
        """How many gates passed, and what may be published."""
        passed = sum(verdict.passed for verdict in self.gates)
        may = "may" if self.passed else "must not"
        return f"{passed} of {len(self.gates)} gates passed; {self.version} {may} be published"


class PublishResult(Record):
    """A published version.

    Attributes:
        version: its name.
        path: its folder, relative to the state folder.
        new: whether it was not in the registry before.
        alias: name of the pointer.
        alias_moved: whether the pointer points at it now.
        content: digest of all its artifacts.
        metrics: the evaluated model's value of each metric.
        to_judge_again: later days that were compared with another champion than they would be now.
    """

    version: PlainName
    path: PathInside
    new: bool
    alias: str
    alias_moved: bool
    content: str
    metrics: dict[str, float | None]
    to_judge_again: tuple[date, ...] = ()

    def summary(self) -> str:
        """What became of the version."""
        known = "" if self.new else ", the same as in the registry already,"
        return f"{self.version}{known} {f'is now {self.alias}' if self.alias_moved else 'is published'}"


def verdicts_if_valid(attempt_dir: Path) -> list[GateVerdict] | None:
    """Read the verdicts that an attempt left; None where there are none that can be read."""
    return read_list_if_valid(attempt_dir / GATE_STEP / VERDICTS_FILE, GateVerdict)
