"""The steps of a run, once: everything that lists, orders, runs, checks or explains steps derives from this table.

To add a step: write its function in a room of `tasks/`, and add one row to `STEPS`. The DAG, `matinee run`, `plan`,
`backfill`, the report, the summary, the progress table and the alerts then know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from importlib import import_module
from typing import Any, Literal

ROOT = __name__.split(".runs.", maxsplit=1)[0]
Group = Literal["data", "examples", "model", ""]
GROUPS: dict[Group, str] = {
    "data": "land, check and build the tables",
    "examples": "candidates, and the sample of them",
    "model": "one model per population, evaluated and published",
}
"""Task groups in Airflow's grid and graph, with what their tooltip says."""


@dataclass(frozen=True)
class Step:
    """One step of a run.

    Attributes:
        name: of the step, its task and its folder.
        does: one sentence on what it does, for Airflow's pages.
        function: `module:function` below `tasks`; takes a run, and a population where it is mapped.
        after: steps it waits for.
        group: the task group it is shown in.
        line: the line of defense of a check (`landed`, `features`, `predictions`).
        runs: when, by what became of the steps it waits for, in the words of Airflow's trigger rules.
        mapped_over: the step whose result lists what this one is run for, one task each.
        key: of the pipeline file, or below one after a dot, without which there is no such step.
        shared: whether as many tasks as trainings may run at once share its work, each given its number from 1.
        has_result: whether it leaves a folder with `result.json`.
        reads_tables: whether it opens the warehouse, which has one place.
        asset: what of the pipeline it makes, as an Airflow asset.
        makes_version: whether its code has a part in the version that is published.
        needs_champion: whether it compares with the champion, so that days have to go through it in their order.
    """

    name: str
    does: str
    function: str
    after: tuple[str, ...] = ()
    group: Group = ""
    line: str = ""
    runs: Literal["all_success", "all_done_min_one_success", "all_done"] = "all_success"
    mapped_over: str = ""
    key: str = ""
    shared: bool = False
    has_result: bool = True
    reads_tables: bool = False
    asset: str = ""
    makes_version: bool = False
    needs_champion: bool = False

    @property
    def module(self) -> str:
        """Dotted name of the module of its function."""
        return f"{ROOT}.{self.function.partition(':')[0]}"

    def load(self) -> Callable[..., Any]:
        """Import its function; only now, because some modules take seconds to import."""
        function: Callable[..., Any] = getattr(import_module(self.module), self.function.partition(":")[2])
        return function


STEPS: tuple[Step, ...] = (
    Step(
        "land",
        "Turns the source's day into immutable parquet partitions.",
        "sources.land:land_step",
        group="data",
        asset="landed",  # no `makes_version`: a version's name has the digest of the landed rows, not of this code
    ),
    Step(
        "check_landed",
        "Checks schema, keys, ranges and volume of what was landed.",
        "checks.landed:check_landed",
        after=("land",),
        group="data",
        line="landed",
    ),
    Step(
        "build",
        "Builds every table that is stale with one dbt invocation.",
        "features.build:build_step",
        after=("check_landed",),
        group="data",
        reads_tables=True,
        asset="features",
        makes_version=True,
    ),
    Step(
        "check_features",
        "Checks ranges, nulls and coverage of the features.",
        "checks.features:check_features",
        after=("build",),
        group="data",
        line="features",
        reads_tables=True,
    ),
    Step(
        "tune_retrieval",
        "Tries settings of retrievers, several tasks beside each other; what is left, retrieve does.",
        "examples.retrieval_trials:tune_retrieval_step",
        after=("check_features",),
        group="examples",
        key="tune.retrieval",
        shared=True,
        has_result=False,
        makes_version=True,
    ),
    Step(
        "retrieve",
        "Fits the retrieval models of each cut and writes their candidates.",
        "examples.candidates:retrieve_step",
        after=("check_features", "tune_retrieval"),
        group="examples",
        reads_tables=True,
        makes_version=True,
    ),
    Step(
        "sample",
        "Draws the stratified sample of groups, with its weights.",
        "examples.sample:sample_step",
        after=("retrieve",),
        group="examples",
        reads_tables=True,
        makes_version=True,
    ),
    Step(
        "check_examples",
        "Checks the sampled examples: label rate, duplicates, ranges.",
        "checks.features:check_examples",
        after=("sample",),
        group="examples",
        line="features",
    ),
    Step(
        "populations",
        # A task of its own, because Airflow maps a task only over what another one returned.
        "Lists the populations that have enough groups for a model of their own.",
        "training.train:populations_step",
        after=("sample",),
        group="model",
        has_result=False,
    ),
    Step(
        "tune",
        "Tries settings of the ranker, several tasks beside each other; what is left, train does.",
        "training.tune:tune_step",
        after=("populations",),
        group="model",
        key="tune.space",
        shared=True,
        has_result=False,
        makes_version=True,
    ),
    Step(
        "train",
        "Trains the model of one population.",
        "training.train:train_step",
        after=("populations", "tune"),
        group="model",
        mapped_over="populations",
        makes_version=True,
    ),
    Step(
        "monitor",
        "Compares features, labels and scores with their reference, and what was served with the tables.",
        "monitoring.monitor:monitor_step",
        after=("sample", "train"),
        runs="all_done_min_one_success",  # of the labels too, if there is a sample but no model
        reads_tables=True,
    ),
    Step(
        "evaluate",
        "Evaluates the model and its baselines on the held-out window.",
        "evaluation.evaluate:evaluate_step",
        after=("train",),
        group="model",
        makes_version=True,
        needs_champion=True,
    ),
    Step(
        "check_predictions",
        "Checks the lists (score spread, coverage, agreement with the champion), and measures what explains them.",
        "checks.predictions:check_predictions",
        after=("evaluate",),
        group="model",
        line="predictions",
        needs_champion=True,
    ),
    Step(
        "gate",
        "Decides whether the model is good enough.",
        "publishing.gates:gate_step",
        after=("check_predictions", "check_examples"),  # training need not wait for the examples' checks; this does
        group="model",
        makes_version=True,
        needs_champion=True,
    ),
    Step(
        "publish",
        "Writes the version to the registry and moves the alias.",
        "publishing.publish:publish_step",
        after=("gate",),
        group="model",
        asset="champion",
        makes_version=True,
        needs_champion=True,
    ),
    Step(
        "report",
        "Writes the run's page; fails if any step failed, so that no red run looks green.",
        "reports.run_report:report_step",
        after=("publish", "monitor"),
        runs="all_done",
    ),
)
BY_NAME: dict[str, Step] = {step.name: step for step in STEPS}
WITH_RESULT: tuple[Step, ...] = tuple(step for step in STEPS if step.has_result and step.runs != "all_done")
"""The steps that a report is about: those that leave a result, without the report itself."""
BESIDE: frozenset[str] = frozenset(step.name for step in STEPS if step.runs == "all_done_min_one_success")
"""Names of steps that nothing but the report waits for: their absence stops nothing."""
CHECKS: tuple[Step, ...] = tuple(step for step in STEPS if step.line)


def steps_of(spec: object) -> tuple[Step, ...]:
    """The steps of a pipeline: those that its file has the key of, each waiting for others of them."""
    steps = [step for step in STEPS if not step.key or reduce(_below, step.key.split("."), spec)]
    names = {step.name for step in steps}
    return tuple(replace(step, after=tuple(name for name in step.after if name in names)) for step in steps)


def _below(part: object, key: str) -> object:
    return getattr(part, key, None)


def dependents(name: str) -> frozenset[str]:
    """Name the steps that wait for a step, directly or through others."""
    waiting = {step.name for step in STEPS if name in step.after}
    return frozenset(waiting.union(*(dependents(other) for other in waiting)))


def stopped_by(name: str, *, in_airflow: bool) -> list[str]:
    """Name the steps that do not run when a step fails, in order, without those that are always tried.

    Args:
        name: of the step that failed.
        in_airflow: whether each step waits only for those it names; `matinee run` goes through them one by one.
    """
    if name in BESIDE:
        return []
    order = [step.name for step in WITH_RESULT]
    # `matinee run` ends at the first error, so there everything behind it stops.
    behind = dependents(name) if in_airflow else {step.name for step in STEPS[list(BY_NAME).index(name) + 1 :]}
    return [other for other in order if other in behind and other not in BESIDE]


def run_step(run: object, step: Step) -> Any:
    """Call a step's function for a run; a mapped one is called for each entry of the list it is mapped over.

    Returns:
        What the function returned; of a mapped step, a dict of what it returned for each entry.
    """
    function = step.load()
    if step.shared:
        return function(run, 1)  # which does the work of all
    if not step.mapped_over:
        return function(run)
    return {entry: function(run, entry) for entry in BY_NAME[step.mapped_over].load()(run)}


def sequence() -> dict[str, Callable[[Any], Any]]:
    """Give the steps of a run without a scheduler, in order and by name, but for the report."""
    return {step.name: _bound(step) for step in WITH_RESULT}


def _bound(step: Step) -> Callable[[Any], Any]:
    # Not a lambda within the comprehension: all of them would run its last step.
    return lambda run: run_step(run, step)
