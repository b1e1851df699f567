"""One attempt at one day of a pipeline: what its steps have left, and a way to run one of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from matinee.arguments import one_of, plain_errors
from matinee.columns import CHECKS, DRIFT, GATES, IMPORTANCE, METRICS
from matinee.tables import read_parquet, table_of
from tasks.errors import MatineeError

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.runs.run import Run as Attempt
    from tasks.store.records import Record

Result = TypeVar("Result", bound="Record")


class Run:
    """One attempt at one day. Get one from `Pipeline.last_run`, `Pipeline.attempt` or `Pipeline.run`.

    Everything but `step` only reads what is on disk, also while the run is under way; a file is compared with the
    digest that its step wrote down before it is read.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __repr__(self) -> str:
        return f"<Run of {self.pipeline} as of {self.as_of}, attempt {self.name!r}: {self.verdict or 'no report yet'}>"

    @property
    def pipeline(self) -> str:
        """Name of the pipeline."""
        return str(self._attempt.spec.name)

    @property
    def as_of(self) -> date:
        """The day."""
        return self._attempt.as_of

    @property
    def name(self) -> str:
        """Name of the attempt."""
        return self._attempt.attempt

    @property
    def folder(self) -> Path:
        """Where its steps leave their files."""
        return self._attempt.dir

    @property
    def steps(self) -> list[str]:
        """Names of the steps that have left a result, in their order."""
        from tasks.runs.steps import STEPS

        return [step.name for step in STEPS if any(self._results(step.name))]

    @property
    def verdict(self) -> str | None:
        """How it ended, in one sentence; None before its report is written."""
        from tasks.runs.outcome import ReportResult

        found = ReportResult.read_if_valid(self._attempt.step_dir("report") / "result.json")
        return None if found is None else found.verdict

    @property
    def report(self) -> Path | None:
        """The page of its report; None before it is written."""
        return next(iter(sorted(self._attempt.step_dir("report").glob("*.html"))), None)

    @property
    def version(self) -> str | None:
        """The version that it published; None if it has published none."""
        from tasks.publishing.results import PUBLISH_STEP, PublishResult

        found = PublishResult.read_if_valid(self._attempt.step_dir(PUBLISH_STEP) / "result.json")
        return None if found is None else found.version

    @plain_errors()
    def result(self, step: str) -> dict[str, Any]:
        """Read what a step recorded, as plain JSON values; of a step by populations, by the folder of each.

        Raises:
            MatineeError: the step has not run in this attempt, or its record is damaged.
        """
        from tasks.runs.steps import BY_NAME
        from tasks.store.files import read_json

        one_of("step", step, [name for name, each in BY_NAME.items() if each.has_result])
        paths = self._results(step)
        if not paths:
            raise self._not_run(step)
        if BY_NAME[step].mapped_over:
            return {path.parent.name: read_json(path) for path in paths}
        recorded: dict[str, Any] = read_json(paths[0])
        return recorded

    @plain_errors()
    def examples(self, part: str = "test") -> pa.Table:
        """Read the examples of a window: a row for each item of each list, with features, grade, weight and strata.

        Args:
            part: `train`, `validation`, `test` or `refit`; for snapshots also `truth`, what should have been retrieved.

        Raises:
            MatineeError: there is no sample yet, or no such part of it.
        """
        folder = self._attempt.step_dir("sample")
        if not folder.is_dir():
            raise self._not_run("sample")
        one_of("part", part, sorted(path.stem for path in folder.glob("*.parquet")))
        return read_parquet([self._attempt.file("sample", f"{part}.parquet")])

    @plain_errors()
    def sample(self) -> pa.Table:
        """Read what was drawn to train on: a row for each stratum, with its groups, those drawn, and their weight."""
        from tasks.examples.sample import SampleResult

        strata = self._read("sample", SampleResult).strata
        names = list(strata[0].stratum) if strata else []
        columns = {**dict.fromkeys(names, "string"), "groups": "int64", "drawn": "int64", "weight": "double"}
        # The weight N/n that undoes the sampling of a stratum, as each of its examples has it.
        weights = [each.groups / each.drawn if each.drawn else None for each in strata]
        rows = [
            (*each.stratum.values(), each.groups, each.drawn, weight)
            for each, weight in zip(strata, weights, strict=True)
        ]
        return table_of(columns, rows)

    @plain_errors()
    def metrics(self) -> pa.Table:
        """Read the evaluation: a row for each metric of each contender, over all, by population and by slice.

        `low` and `high` are the 95 % interval; `slice` is null for figures that are of no slice.
        """
        from engine.evaluation import EvaluationRecord
        from tasks.evaluation.results import RECORDS_FILE, STEP
        from tasks.store.records import read_list

        self._require(STEP)
        records = read_list(self._attempt.step_dir(STEP) / RECORDS_FILE, EvaluationRecord)
        # A slice is an object or a text on disk; the other columns are the record's own keys.
        rows = [{**each.model_dump(), "slice": _slice(each.slice)} for each in records]
        return table_of(METRICS, [[row[name] for name in METRICS] for row in rows])

    @plain_errors()
    def gates(self) -> pa.Table:
        """Read the gates' verdicts: a row for each gate, with the figures behind it."""
        from tasks.publishing.results import GATE_STEP, VERDICTS_FILE, GateVerdict
        from tasks.store.records import read_list

        path = self._attempt.step_dir(GATE_STEP) / VERDICTS_FILE
        if not path.is_file():  # not the result, which a gate that failed does not leave
            raise self._not_run(GATE_STEP)
        return table_of(GATES, [(each.gate, each.passed, each.detail) for each in read_list(path, GateVerdict)])

    @plain_errors()
    def checks(self) -> pa.Table:
        """Read what the checks found: a row for each expectation that was checked, of all steps that have checked."""
        from tasks.checks.verdicts import read_checks
        from tasks.runs.steps import CHECKS as CHECK_STEPS

        rows = []
        for step in CHECK_STEPS:
            for each in read_checks(self._attempt.step_dir(step.name)) or ():
                where = (step.name, each.table, each.day, each.title)
                rows.append(
                    [*where, each.severity, each.success, each.shown_observed, each.expected, each.why, each.next]
                )
        return table_of(CHECKS, rows)

    @plain_errors()
    def drift(self) -> pa.Table:
        """Read how far the test examples have shifted from their reference: a row for each feature, and the scores."""
        from tasks.monitoring.drift import FILE, Drift

        self._require("monitor")
        drift = Drift.read(self._attempt.step_dir("monitor") / FILE)
        shown = [*drift.features, *([drift.scores] if drift.scores is not None else [])]
        return table_of(DRIFT, [tuple(getattr(each, name) for name in DRIFT) for each in shown])

    @plain_errors()
    def importance(self) -> pa.Table:
        """Read each feature's gain (its importance where the ranker is no trees) and splits in the evaluated models."""
        from tasks.training.train import TrainResult

        self._require("train")
        models = [TrainResult.read(path) for path in self._results("train")]
        return table_of(
            IMPORTANCE,
            [
                (model.population, feature, gain, model.splits.get(feature))
                for model in models
                for feature, gain in model.importance.items()
            ],
        )

    @plain_errors()
    def step(self, name: str, *, population: str | None = None) -> dict[str, Any]:
        """Run one step in this attempt, as its command does; the steps before it have to be there.

        Args:
            name: of the step, such as `sample` or `train`.
            population: of a step by populations, which one; all if absent.

        Returns:
            What the step recorded, as `result` reads it.

        Raises:
            MatineeError: the step failed; a `GateFailed` or `CheckFailed` where that is why.
        """
        from tasks.operations.process import quieten_libraries
        from tasks.runs.failures import call_step
        from tasks.runs.steps import BY_NAME, run_step

        step = BY_NAME[one_of("step", name, BY_NAME)]
        quieten_libraries()
        if step.mapped_over:
            entries = run_step(self._attempt, BY_NAME[step.mapped_over])
            chosen = entries if population is None else [one_of("population", population, entries)]
            for entry in chosen:
                call_step(self._attempt, name, step.load(), entry)
        else:
            call_step(self._attempt, name, step.load(), *([1] if step.shared else []))
        return self.result(name) if step.has_result else {}

    def _results(self, step: str) -> list[Path]:
        folder = self._attempt.step_dir(step)
        alone = folder / "result.json"
        return [alone] if alone.is_file() else sorted(folder.glob("*/result.json"))

    def _read(self, step: str, kind: type[Result]) -> Result:
        # Not `Run.read`, which refuses what was made by a pipeline file that has been edited since: a notebook looks
        # at what is there, and mixes nothing.
        self._require(step)
        return kind.read(self._attempt.step_dir(step) / "result.json")

    def _require(self, step: str) -> None:
        if not self._results(step):
            raise self._not_run(step)

    def _not_run(self, step: str) -> MatineeError:
        done = ", ".join(self.steps) or "nothing"
        return MatineeError(
            f"{self.folder}: the step {step!r} has left no result in this attempt ({done} has). Run it with "
            f"`run.step({step!r})`, or the whole day with `pipeline.run(...)`"
        )


def _slice(value: Mapping[str, str] | str | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return ", ".join(f"{name}={part}" for name, part in value.items())
