"""What retrieval learns from where a pipeline declares kinds of interactions: whether there is anything of it."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from tasks.errors import TrainingError
from tasks.examples import queries
from tasks.features.warehouse import Tables
from tasks.runs.narration import warn
from tasks.spec.spec import Spec


class PastKind(NamedTuple):
    """What there is of a kind in the year up to a day: interactions, those that count, and their largest value."""

    kind: str
    happened: int
    counted: int
    largest: float


def require_positives(tables: Tables, spec: Spec, day: date) -> None:
    """Refuse declared kinds of which nothing counts, and warn of each least value that nothing reaches.

    Args:
        tables: the pipeline's.
        spec: the pipeline.
        day: as of which there must be something.

    Raises:
        TrainingError: there are interactions, and none that retrieval may learn from.
    """
    if not spec.interactions.kinds:
        return
    rows = tables.arrow(queries.past_kinds(spec, day)).to_pylist()
    past = [PastKind(row["kind"], int(row["happened"]), int(row["counted"]), row["largest"]) for row in rows]
    said = {part.kind: _why_nothing(spec, part) for part in past if not part.counted}
    if past and len(said) == len(past):
        raise TrainingError(
            f"no interaction of the year up to {day} counts for retrieval: {'; '.join(said.values())}; lower a "
            "`least`, or give a kind a `weight`, under `interactions.kinds` of the pipeline file"
        )
    for part in past:
        if not part.counted and spec.interactions.least_of(part.kind) is not None:
            warn("{why}: retrieval learns nothing from them (`interactions.kinds`)", why=said[part.kind])


def _why_nothing(spec: Spec, part: PastKind) -> str:
    least = spec.interactions.least_of(part.kind)
    reason = "have no weight" if least is None else f"are below its `least` {least:g} (the largest is {part.largest:g})"
    return f"all {part.happened:,} of kind {part.kind} {reason}"
