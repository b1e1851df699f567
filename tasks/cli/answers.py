"""What commands that read answer as JSON: a typed record each, whose schema scripts can rely on."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from tasks.checks.verdicts import Check
from tasks.evaluation.ablation import Ablation
from tasks.evaluation.noise import NoiseFloor
from tasks.operations.terminal import write_data
from tasks.sources.released_rows import ReleaseRecord
from tasks.store.records import Record
from tasks.tuning.choice import Tuning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.examples.label_report import Labels, Pair, Tally
    from tasks.operations.plan import RunPlan
    from tasks.spec.spec import Spec


class Validated(Record):
    """Answer of `validate`."""

    pipeline: str
    description: str
    first_as_of: date
    notices: tuple[str, ...]


class PlannedDays(Record):
    """Days of one thing that a run would make, and why."""

    what: str
    days: tuple[date, ...]
    why: str


class Planned(Record):
    """Answer of `plan`; `version` is null until its days are landed."""

    pipeline: str
    as_of: date
    make: tuple[PlannedDays, ...]
    version: str | None
    published: bool
    outdated_verdicts: tuple[date, ...]


class RankedItem(Record):
    """An item of a list, the best being rank 1."""

    rank: int
    item: str
    score: float
    title: str


class Ranked(Record):
    """Answer of `rank`; `known` is whether the version knows the user."""

    pipeline: str
    version: str
    user: str
    known: bool
    population: str
    items: tuple[RankedItem, ...]


class Action(Record):
    """What a pair's user did to its item; `ahead` of the cut, or before it."""

    kind: str
    value: float
    at: datetime
    ahead: bool


class LabeledPair(Record):
    """A labeled pair, with what was done."""

    user: str
    item: str
    cut: date
    actions: tuple[Action, ...]


class DecidedRule(Record):
    """What a rule decides; of none for the pairs that none decides. `examples` is null before there are candidates."""

    grade: int | None
    when: str | None
    pairs: int
    examples: int | None
    shown: tuple[LabeledPair, ...]


class Labeled(Record):
    """Answer of `labels`; `few` is said where there are few positives to learn from."""

    pipeline: str
    as_of: date
    cuts: tuple[date, ...]
    rules: tuple[DecidedRule, ...]
    idle: tuple[int, ...]
    few: str | None = None


class CheckedStep(Record):
    """Verdicts of one step; `problem` is why what depends on it must not run.

    Not `built`: its tables are not there, so nothing is known of the data, and `problem` says how they come back.
    """

    what: str
    checks: tuple[Check, ...]
    problem: str | None
    built: bool = True


class Checked(Record):
    """Answer of `check`."""

    pipeline: str
    as_of: date
    attempt: str
    steps: tuple[CheckedStep, ...]


class Alert(Record):
    """An alert, to how many sinks it was sent, and which it waits for."""

    at: str
    title: str
    severity: str
    delivered: int
    waiting: tuple[str, ...]


class Alerts(Record):
    """Answer of `alerts list`."""

    days: int
    alerts: tuple[Alert, ...]


class RejectedOfDay(Record):
    """Rejected rows of a day; `offered` is null where that landing is not known."""

    ds: date
    rejected: int
    offered: int | None
    rate: float | None


class RejectedByRule(Record):
    """What a rule rejected of a table."""

    table: str
    rule: str
    why: str
    rows: int
    rate: float | None
    first_seen: date
    days: tuple[RejectedOfDay, ...]


class Released(ReleaseRecord):
    """A release of rows, by the name of its folder."""

    name: str


class Quarantined(Record):
    """Answer of `quarantine list`."""

    pipeline: str
    rejected: tuple[RejectedByRule, ...]
    releases: tuple[Released, ...]


class MeasuredNoise(NoiseFloor):
    """Answer of `noise`."""

    pipeline: str
    as_of: date
    attempt: str


class Ablated(Ablation):
    """Answer of `ablate`."""

    pipeline: str
    as_of: date
    attempt: str


class Tuned(Record):
    """Answer of `tune`: the search of each population."""

    pipeline: str
    as_of: date
    attempt: str
    populations: dict[str, Tuning]


class StackStatus(Record):
    """Answer of `stack status`; `port` is null where Airflow does not run."""

    port: int | None
    healthy: bool
    components: dict[str, str]


def write_answer(answer: Record) -> None:
    """Write an answer to standard output."""
    write_data(answer.model_dump_json(indent=1) + "\n")


def planned(spec: Spec, plan: RunPlan, outdated: Sequence[date]) -> Planned:
    """The answer of `plan`."""
    make = tuple(PlannedDays(what=part.what, days=part.days, why=part.why) for part in plan.reasons)
    return Planned(
        pipeline=spec.name, as_of=plan.as_of, make=make, version=plan.version, published=plan.published,
        outdated_verdicts=tuple(outdated),
    )  # fmt: skip


def labeled(report: Labels) -> Labeled:
    """The answer of `labels`."""
    run = report.run
    grades = run.spec.label.grades
    rules = [_decided(tally, grades[tally.number - 1].grade, grades[tally.number - 1].when) for tally in report.rules]
    return Labeled(
        pipeline=run.spec.name, as_of=run.as_of, cuts=report.cuts,
        rules=(*rules, _decided(report.undecided, None, None)), idle=tuple(report.idle), few=report.few,
    )  # fmt: skip


def _decided(tally: Tally, grade: int | None, when: str | None) -> DecidedRule:
    shown = tuple(map(_pair, tally.pairs))
    return DecidedRule(grade=grade, when=when, pairs=tally.decides, examples=tally.examples, shown=shown)


def _pair(pair: Pair) -> LabeledPair:
    actions = tuple(Action(kind=act.kind, value=act.value, at=act.at, ahead=act.ahead) for act in pair.interactions)
    return LabeledPair(user=pair.user_id, item=pair.item_id, cut=pair.cut, actions=actions)
