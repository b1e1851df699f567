"""The lists of the validation window, each with the metric that a model of the training window alone gives it.

What such a model is compared by, as the evaluated model has learned from the validation window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.runs.narration import warn
from tasks.spec.rankers import Ranker
from tasks.training.learners.protocol import Read
from tasks.training.rankers import train_ranker

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.runs.run import Run
    from tasks.spec.spec import Spec

VALUES_FILE = "validation.parquet"


def validation_values(run: Run, settings: Ranker, read: Read) -> pa.Table:
    """Train settings on the training window, and measure each validation list by the metric of the first gate.

    Args:
        run: the run, which has drawn its sample.
        settings: of the ranker.
        read: gives the examples of a window (`train`, `validation`) of one population.

    Returns:
        `group_id`, `user_id` and `value`, a row for each list; none where nothing can be learned from the window.
    """
    import pyarrow as pa

    from engine.lists import Lists
    from engine.metrics import parse_metric
    from tasks.examples.arrays import group_offsets, matrix, relevant_of

    validation = read("validation")
    try:
        model = train_ranker(read("train"), run.spec, settings)
    except TrainingError as error:
        # The evaluated model has more examples than this one: that it could be trained is what matters.
        warn("no model of the training window alone, so nothing to compare: {error}", error=str(error))
        validation = validation.slice(0, 0)
    offsets = group_offsets(validation)
    lists = validation.take(offsets[:-1]).select(["group_id", "user_id"])
    if not validation.num_rows:
        return lists.append_column("value", pa.array([], pa.float64()))
    truth = _truth(run)
    relevant = None if truth is None else relevant_of(lists["group_id"].to_pylist(), truth)
    scores = model.scorer().predict(matrix(validation, run.spec.features))
    ranked = Lists.of(scores, validation["grade"].to_numpy(), offsets, relevant=relevant)
    return lists.append_column("value", pa.array(parse_metric(run.spec.gates[0].metric)(ranked)))


def _truth(run: Run) -> pa.Table | None:
    """Read every relevant item of snapshots, retrieved or not; impressions need none."""
    import pyarrow.parquet as pq

    return None if run.spec.examples.kind != "snapshots" else pq.read_table(run.file("sample", "truth.parquet"))


def may_fall_back(spec: Spec) -> bool:
    """Whether populations whose own model is not better are served by everybody's."""
    split = spec.populations
    return split is not None and split.keep == "if_better" and spec.examples.validation > 0


def undecided(spec: Spec) -> str | None:
    """Say that nothing decides which populations fall back; None where something does, or none shall."""
    if spec.populations is None or spec.populations.keep == "always" or may_fall_back(spec):
        return None
    return (
        "without a validation window (`examples.validation`) it cannot be decided whose own model is better than that "
        "of everybody, so each population with `populations.min_groups` groups keeps its own. `populations: {keep: "
        "always}` says that it shall"
    )
