"""The end of a run on the terminal: metrics beside the baselines, gates, times, and where everything is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from engine.evaluation import MODEL, EvaluationRecord, feature_of, features_alone, overall, select
from tasks.errors import count_of
from tasks.evaluation import results as evaluation
from tasks.evaluation.notices import comparison_notices
from tasks.evaluation.results import RECORDS_FILE
from tasks.operations.airflow_answers import Task
from tasks.operations.progress import Cell
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, VERDICTS_FILE, GateVerdict, PublishResult
from tasks.runs.steps import BY_NAME
from tasks.spec.project import stack_command
from tasks.store.files import Home
from tasks.store.records import read_list
from tasks.store.run_files import Attempt
from tasks.training.sample_notices import sample_notices

if TYPE_CHECKING:
    from tasks.runs.run import Run
    from tasks.spec.spec import Spec


class Airflow(Protocol):
    """Where Airflow's pages are, and who may log in."""

    @property
    def started(self) -> bool:
        """Whether it was started for this call alone."""

    @property
    def url(self) -> str:
        """Address of its pages."""

    @property
    def login(self) -> str:
        """User and password, as a person types them."""

    @property
    def home(self) -> Path:
        """State folder."""


@dataclass(frozen=True)
class DaySummary:
    """One as-of day that was run.

    Attributes:
        as_of: the day.
        run_id: Airflow's id of the run, or the attempt.
        attempt: folder of the run.
        state: Airflow's; `success` if all went well.
        steps: what each step did.
        failed: the tasks that failed.
    """

    as_of: date
    run_id: str
    attempt: str
    state: str
    steps: Mapping[str, Cell]
    failed: tuple[Task, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether every step succeeded."""
        return self.state == "success"


def metrics_table(records: Sequence[EvaluationRecord], names: Sequence[str]) -> Table:
    """Tabulate metrics (rows) by contender (columns), over all groups; the model comes first, features are left out.

    Args:
        records: the flat list of `evaluation.records`.
        names: metrics in the order of the pipeline file.
    """
    measured = [record for record in select(records, is_overall=True) if record.metric in names]
    # The sort is stable: behind the model, contenders keep the order in which they were recorded.
    contenders = sorted(dict.fromkeys(r.of for r in measured if not r.feature), key=lambda of: of != MODEL)
    table = _start_table("metric")
    for contender in contenders:
        table.add_column(contender, justify="right")
    for name in names:
        table.add_row(name, *(_figure(overall(measured, name, contender)) for contender in contenders))
    return table


def best_features(records: Sequence[EvaluationRecord], names: Sequence[str]) -> str | None:
    """Name the feature that is best alone by each metric that features are measured by; None if none is.

    Beside the table, since a column more would not fit into a terminal.
    """
    best = [(name, features_alone(records, name)[:1]) for name in names]
    figures = [f"{name} {_figure(record)} ({feature_of(record.of)})" for name, first in best for record in first]
    return ", ".join(figures) or None


def _start_table(first: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first, style="bold")
    return table


def _figure(record: EvaluationRecord | None) -> str:
    if record is None or record.value is None:
        return "–"
    span = "" if record.low is None or record.high is None else f" ±{(record.high - record.low) / 2:.4f}"
    return f"{record.value:.4f}{span}"


def times_table(days: Sequence[DaySummary]) -> Table:
    """Lay out the seconds of each step (rows) on each day (columns)."""
    table = _start_table("seconds")
    for day in days:
        table.add_column(day.as_of.isoformat(), justify="right")
    for step in BY_NAME:
        seconds = [cell.seconds if (cell := day.steps.get(step)) else None for day in days]
        if any(second is not None for second in seconds):
            table.add_row(step, *("–" if second is None else f"{second:.1f}" for second in seconds))
    return table


def failure(day: DaySummary, errors: Mapping[str, str]) -> RenderableType:
    """Lay out the failed tasks of a day with their errors; print it with `soft_wrap`, as it has paths in it."""
    lines = [f"{name}: {text}" for name, text in errors.items()] or ["the run failed, but none of its tasks did"]
    return Group("", Text(f"✗ {day.as_of} failed", style="bold red"), *map(Text, lines))


def summary(spec: Spec, home: Home, days: Sequence[DaySummary], seconds: float, stack: Airflow) -> RenderableType:
    """Lay out the end of `make run`; metrics are those of the last day that has some."""
    parts: list[RenderableType] = [""]
    for day in reversed(days):
        run = home.run_dir(spec.name, day.as_of, day.attempt)
        if (run / evaluation.STEP / RECORDS_FILE).exists():
            parts += _results(spec, home, day.as_of, run)
            break
    parts += [times_table(days), "", *_places(home, spec, days, stack)]
    good = sum(day.succeeded for day in days)
    parts.append(_line("result", f"{good} of {count_of(len(days), 'day')} succeeded in {seconds:.0f} s"))
    return Group(*parts)


def run_summary(run: Run, seconds: Mapping[str, float]) -> RenderableType:
    """Lay out the end of a run without Airflow."""
    steps = {name: Cell("success", taken, 1, 1) for name, taken in seconds.items()}
    day = DaySummary(run.as_of, run.attempt, run.attempt, "success", steps)
    results = _results(run.spec, run.home, run.as_of, run.dir)
    places = [_line("files", str(run.dir)), _line("report", str(run.step_dir("report") / "report.html"))]
    return Group("", *results, times_table([day]), "", *places)


def _results(spec: Spec, home: Home, as_of: date, run: Path) -> list[RenderableType]:
    parts: list[RenderableType] = []
    records = run / evaluation.STEP / RECORDS_FILE
    if records.exists():
        words = f" as of {as_of}, on the held-out window (± half of the 95 % interval)"
        title = Text.assemble((spec.name, "bold"), words)
        measured = read_list(records, EvaluationRecord)
        parts += [title, metrics_table(measured, spec.evaluate.metrics)]
        if features := best_features(measured, spec.evaluate.metrics):
            parts.append(Text(f"the best feature alone: {features}"))
        parts.append("")
    attempt = Attempt(spec.name, as_of, run)
    for notice in (*comparison_notices(attempt, spec), *sample_notices(attempt, spec)):
        parts.append(Text.assemble((f"{'note':<11}", "yellow"), notice))
    verdicts = run / GATE_STEP / VERDICTS_FILE
    for verdict in read_list(verdicts, GateVerdict) if verdicts.exists() else []:
        sign = ("✓", "green") if verdict.passed else ("✗", "red")
        parts.append(Text.assemble("gate       ", sign, f" {verdict}"))
    publication = run / PUBLISH_STEP / "result.json"
    if publication.exists():
        published = PublishResult.read(publication)
        moved = "" if published.alias_moved else f" (the alias {spec.publish.alias} stays where it is)"
        parts.append(_line("published", f"{published.version}{moved}"))
        parts.append(_line("descriptor", str(home.root / published.path / "descriptor.json")))
    return [*parts, ""]


def _places(home: Home, spec: Spec, days: Sequence[DaySummary], stack: Airflow) -> list[RenderableType]:
    lines = []
    if days:
        last = home.run_dir(spec.name, days[-1].as_of, days[-1].attempt)
        report = next(last.glob("report/*.html"), None)
        lines.append(_line("files", str(last)))
        lines += [_line("report", str(report))] if report else []
    if stack.started:
        lines.append(_line("UI", f"`{stack_command('up')}` starts it at {stack.url}, login {stack.login}"))
    else:
        lines.append(_line("UI", f"{stack.url}/dags/{spec.name}, login {stack.login}"))
    return [*lines, _line("logs", str(stack.home / "logs"))]


def _line(name: str, text: str) -> Text:
    return Text.assemble((f"{name:<11}", "bold"), text)
