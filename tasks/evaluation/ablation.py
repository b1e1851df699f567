"""What each part of a model is worth: its groups of features left out one by one, by one learner or several.

On the examples of a run, with its own ranker and one model for everybody. Each variant learns from the training window
and ranks the lists of the validation window, so that looking at the table spoils no test; without that window it is
the test window, and whoever chooses by the table has chosen on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.errors import TrainingError
from tasks.evaluation.figures import INTERVAL_SEED
from tasks.evaluation.held_out import HeldOut, truth_of
from tasks.evaluation.results import Figure
from tasks.evaluation.single_features import figure_of
from tasks.examples.arrays import group_ends, matrix
from tasks.runs.narration import counted, say
from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.spec.rankers import Ranker
from tasks.spec.spec import Spec
from tasks.store.records import Record
from tasks.training.feature_groups import feature_groups
from tasks.training.rankers import train_ranker
from tasks.training.train import TrainResult

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Floats
    from tasks.runs.run import Run

ABLATION_STEP = "ablation"
"""Folder in that of the run; no step reads it."""
OWN = "own"
"""The learner of the pipeline, with the settings that `tune` chose if the run has trained."""


@dataclass(frozen=True)
class Learner:
    """A ranker's settings by what a person calls them."""

    name: str
    settings: Ranker


class Variant(Record):
    """A model without some features, or by another learner.

    Attributes:
        learner: what trained it.
        without: the group of features that is left out; None of none.
        features: how many are left.
        figure: mean of the metric.
        difference: to the pipeline's own learner with all features, list by list; None of that one itself.
        seconds: that its training took.
        problem: why there is no such model.
    """

    learner: str
    without: str | None
    features: int
    figure: Figure | None = None
    difference: Figure | None = None
    seconds: float = 0.0
    problem: str | None = None


class Ablation(Record):
    """All variants, the full model first.

    Attributes:
        metric: that of the first gate.
        window: whose lists were ranked.
        lists: how many they are.
        examples: rows that each model was trained on.
        left_out: the features of each group.
        variants: learner by learner.
    """

    metric: str
    window: Literal["validation", "test"]
    lists: int
    examples: int
    left_out: dict[str, tuple[str, ...]]
    variants: tuple[Variant, ...]

    def summary(self) -> str:
        """How many variants were compared, on what."""
        return f"{len(self.variants)} variants by {self.metric} on {self.lists:,} lists of the {self.window} window"


@dataclass(frozen=True, eq=False)
class _Examples:
    """What the variants learn from, and what they rank."""

    train: pa.Table
    held_out: HeldOut
    window: Literal["validation", "test"]


def own_learner(run: Run) -> Learner:
    """The pipeline's ranker, as `tune` has set it for everybody else where the run has trained."""
    trained = TrainResult.read_if_valid(run.step_dir(f"train/{slug(EVERYBODY_ELSE)}") / "result.json")
    return Learner(OWN, run.spec.ranker if trained is None else trained.settings)


def ablate(run: Run, others: Sequence[Learner] = ()) -> Ablation:
    """Train and compare every learner on all features, and without each group of them; keep the table.

    Raises:
        TrainingError: the full model cannot be trained, or there is no list to rank.
    """
    from engine.intervals import interval, paired_interval, user_blocks

    examples, groups = _examples(run), feature_groups(run.spec)
    blocks = user_blocks(examples.held_out.group_rows["user_id"].to_pylist(), INTERVAL_SEED)
    full: Floats | None = None
    variants = []
    with run.write(ABLATION_STEP) as folder:
        for variant, values in _trained(run.spec, examples, [own_learner(run), *others]):
            if full is None:
                if values is None:
                    raise TrainingError(f"{run.spec.name} {run.as_of}: the full model: {variant.problem}")
                full, difference = values, None
            else:
                difference = None if values is None else figure_of(paired_interval(values, full, blocks, INTERVAL_SEED))
            figure = None if values is None else figure_of(interval(values, blocks, INTERVAL_SEED))
            variants.append(variant.model_copy(update={"figure": figure, "difference": difference}))
            _say(run.spec, variants[-1])
        folder.result = result = Ablation(
            metric=run.spec.gates[0].metric,
            window=examples.window,
            lists=examples.held_out.group_rows.num_rows,
            examples=examples.train.num_rows,
            left_out=groups,
            variants=tuple(variants),
        )
    return result


def _examples(run: Run) -> _Examples:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    window: Literal["validation", "test"] = "validation"
    table, truth = pq.read_table(run.file("sample", "validation.parquet")), None
    if table.num_rows and run.spec.examples.kind == "snapshots":
        # Of the lists that were drawn: `truth` has those of all.
        truth = pq.read_table(run.file("sample", "truth.parquet"))
        truth = truth.filter(pc.is_in(truth["group_id"], pa.array(table["group_id"].unique())))
    if not table.num_rows:
        window, table, truth = "test", pq.read_table(run.file("sample", "test.parquet")), truth_of(run)
    if not table.num_rows:
        raise TrainingError(f"{run.spec.name} {run.as_of}: no list of the validation or the test window to rank")
    train = pq.read_table(run.file("sample", "train.parquet"))
    say(
        "{examples:,} examples of {groups:,} groups to train on, lists of the {window} window to rank",
        examples=train.num_rows, groups=len(group_ends(train)), window=window,
    )  # fmt: skip
    return _Examples(train, HeldOut.of(run.spec, table, truth), window)


def _trained(spec: Spec, examples: _Examples, learners: Sequence[Learner]) -> Iterator[tuple[Variant, Floats | None]]:
    """Train every variant; yield it with its value of every list, None where it cannot be trained."""
    from engine.metrics import parse_metric

    metric = parse_metric(spec.gates[0].metric)
    left_out: list[tuple[str | None, tuple[str, ...]]] = [(None, ()), *feature_groups(spec).items()]
    plans = [(learner, without, names) for learner in learners for without, names in left_out]
    for learner, without, names in counted(plans, "variants"):
        part, began = spec_without(spec, names), time.monotonic()
        values, problem = None, None
        try:
            model = train_ranker(examples.train, part, learner.settings)
        except TrainingError as error:
            problem = str(error)
        seconds = time.monotonic() - began
        if problem is None:
            scores = model.scorer().predict(matrix(examples.held_out.table, part.features))
            values = metric(examples.held_out.lists(scores))
        yield (
            Variant(
                learner=learner.name, without=without, features=len(part.features), seconds=round(seconds, 2),
                problem=problem,
            ),
            values,
        )  # fmt: skip


def spec_without(spec: Spec, names: Sequence[str]) -> Spec:
    """Leave features out of a pipeline."""
    # Not a copy: that would keep the features that the other has resolved.
    kept = [name for name in spec.features if name not in names]
    return Spec.model_validate({**spec.canonical(), "features": kept})


def _say(spec: Spec, variant: Variant) -> None:
    value = variant.problem if variant.figure is None else f"{variant.figure.value or 0:.4f}"
    difference = "" if variant.difference is None else f", to the full model {variant.difference.text}"
    say(
        "{learner} without {without}: {metric} {value}{_difference} ({seconds:.1f} s)",
        learner=variant.learner, without=variant.without or "nothing", metric=spec.gates[0].metric, value=value,
        _difference=difference, seconds=variant.seconds,
    )  # fmt: skip
