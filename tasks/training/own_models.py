"""Which populations keep their own model: those for which it is better than the model of everybody, beyond noise.

Both learn from the training window alone and rank the population's lists of the validation window, so that the test
window stays unseen. What a population falls back on is `*`, which learns from everybody wherever one may fall back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.runs.narration import say, warn
from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.store.files import json_number
from tasks.store.records import Record, read_list_if_valid
from tasks.training.train import populations
from tasks.training.validation_lists import VALUES_FILE, may_fall_back, undecided

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from tasks.runs.run import Run
    from tasks.spec.spec import Spec

OWN_MODELS_FILE = "own_models.json"
SEED = 0
"""Of the blocks of users: as in the evaluation, though the lists are others."""
DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


class OwnModel(Record):
    """A population's own model beside the model of everybody, on the population's validation lists.

    Attributes:
        population: whose model it is.
        metric: that of the first gate.
        groups: lists that both have a value of.
        lead: mean difference, own minus everybody's; None where no list defines it.
        low: lower end of its 95 % interval over users; None with too few of them.
        high: upper end of the interval.
        kept: whether it is better beyond noise, and so is evaluated and published; if not, `*` serves the population.
    """

    population: str
    metric: str
    groups: int
    lead: float | None
    low: float | None
    high: float | None
    kept: bool

    @property
    def text(self) -> str:
        """The lead in words."""
        if self.lead is None:
            return "no list to compare them on"
        span = "no interval" if self.low is None or self.high is None else f"[{self.low:+.4f}, {self.high:+.4f}]"
        return f"{self.metric} {self.lead:+.4f} {span} over {self.groups:,} validation lists"


def serving_populations(run: Run) -> list[str]:
    """The populations whose own model is evaluated and published, in order of name, and `*` for everybody else."""
    fallen = {own.population for own in own_models(run) if not own.kept}
    return [name for name in populations(run) if name not in fallen]


def own_models(run: Run) -> tuple[OwnModel, ...]:
    """Compare each population's model with that of everybody; nothing where populations do not fall back.

    Raises:
        MatineeError: one of them has not been trained in this attempt.
    """
    if not may_fall_back(run.spec):
        return ()
    everybody, metric = _values(run, EVERYBODY_ELSE), run.spec.gates[0].metric
    named = [name for name in populations(run) if name != EVERYBODY_ELSE]
    return tuple(compared(name, metric, _values(run, name), everybody) for name in named)


def _values(run: Run, population: str) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(run.file(f"train/{slug(population)}", VALUES_FILE))


def compared(population: str, metric: str, own: pa.Table, everybody: pa.Table) -> OwnModel:
    """Compare two models list by list.

    Args:
        population: whose lists they are.
        metric: what they are measured by.
        own: its own model's values (`validation_values`).
        everybody: the values of the model of everybody, of these lists and others.
    """
    import pyarrow.compute as pc

    from engine.intervals import paired_interval, user_blocks

    # Where everybody's model could not be trained there is none of these rows, and no value to compare with.
    rows = pc.index_in(own["group_id"].combine_chunks(), everybody["group_id"].combine_chunks())
    theirs = everybody["value"].combine_chunks().take(rows).to_numpy(zero_copy_only=False)
    blocks = user_blocks(own["user_id"].to_pylist(), SEED)
    span = paired_interval(own["value"].to_numpy(), theirs, blocks, SEED)
    lead, low, high = (json_number(number, DIGITS) for number in (span.value, span.low, span.high))
    # What could not be compared is not known to be better.
    kept = low is not None and low > 0
    return OwnModel(population=population, metric=metric, groups=span.groups, lead=lead, low=low, high=high, kept=kept)


def say_own_models(found: tuple[OwnModel, ...]) -> None:
    """Say of each population whether its own model is kept, and why."""
    for own in found:
        if own.kept:
            say("{population} keeps its own model: {lead} ahead of everybody's", population=own.population,
                lead=own.text)  # fmt: skip
        else:
            warn(
                "{population} falls back on the model of everybody: its own is not better beyond noise, {lead}",
                population=own.population, lead=own.text,
            )  # fmt: skip


def own_model_notices(spec: Spec, path: Path) -> tuple[str, ...]:
    """Say which populations fall back, or that it cannot be decided, for the summary and the report.

    Args:
        spec: the pipeline.
        path: the file in which `evaluate` has left the comparisons; it need not exist.
    """
    split = spec.populations
    if split is None:
        return ()
    if why := undecided(spec):
        return (why,)
    fallen = [own for own in read_list_if_valid(path, OwnModel) or [] if not own.kept]
    return tuple(
        f"the model of everybody ranks for the {split.by} {own.population}: its own model is not better beyond noise, "
        f"{own.text} (`populations.keep`)"
        for own in fallen
    )
