"""What rankers learn of each example: its grade, whether it is relevant, or what its grade is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.spec.rankers import OWN_OBJECTIVES
from tasks.spec.spec import Spec

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa


def label_gain(spec: Spec, highest: int) -> tuple[float, ...]:
    """What each grade from 0 to `highest` is worth to a learner: what the metric of the first gate makes it worth.

    LightGBM's own gains, 2^grade − 1, are those of another metric than `ndcg@k`, whose gains are linear.
    """
    from engine.metrics import parse_metric

    return parse_metric(spec.gates[0].metric).gains(highest)


def gains_by_grade(spec: Spec) -> str:
    """Say what each grade of the pipeline's labels is worth, for the descriptor."""
    gains = label_gain(spec, max(rule.grade for rule in spec.label.grades))
    listed = ", ".join(f"{grade}: {gain:g}" for grade, gain in enumerate(gains))
    return f"the gains of {spec.gates[0].metric} by grade ({listed})"


def labels(table: pa.Table, spec: Spec, objective: str) -> npt.NDArray[Any]:
    """What is learned of each example: its grade, whether it is relevant, or what its grade is worth."""
    import numpy as np

    grades: npt.NDArray[np.int8] = table["grade"].to_numpy()
    if objective == "binary":
        return (grades > 0).astype(np.float32)
    if objective == "regression" or objective in OWN_OBJECTIVES:
        gains: npt.NDArray[np.float32] = np.asarray(label_gain(spec, int(grades.max(initial=0))), dtype=np.float32)
        return gains[grades]
    return grades


def highest_grade(table: pa.Table) -> int:
    """The highest grade of some examples.

    Raises:
        TrainingError: there is no other grade.
    """
    import pyarrow.compute as pc

    grades = pc.min_max(table["grade"]).as_py() if table.num_rows else {"min": 0, "max": 0}
    if grades["min"] == grades["max"]:
        raise TrainingError(
            f"single-class label: all {table.num_rows} examples have the grade {grades['max']}, expected at least two "
            "different grades. Look at `label.grades` and the length of `examples.train`"
        )
    return int(grades["max"])
