"""The figures of a run: the values of the lists averaged, with intervals, over everybody and over each part of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.evaluation import EVERYBODY, EvaluationRecord, feature_of, select
from tasks.evaluation.item_slices import definition
from tasks.evaluation.results import REFIT, FigureKey, GroupValues
from tasks.runs.narration import counted, say
from tasks.spec.populations import EVERYBODY_ELSE
from tasks.spec.spec import Spec
from tasks.store.files import json_number

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

INTERVAL_SEED = 0
DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


@dataclass(frozen=True)
class Groups(GroupValues):
    """The test groups of a run with everything figures are split by.

    Attributes:
        attributes: by attribute, the value of each group.
        population: the population whose model ranks each group.
        by_item: by slice of an attribute of items, the values in it (`tasks.evaluation.item_slices`).
    """

    attributes: dict[str, list[str]]
    population: list[str]
    by_item: dict[str, Mapping[FigureKey, npt.NDArray[np.float64]]] = field(default_factory=dict)


def parts(spec: Spec, groups: Groups) -> Iterator[tuple[str, str | None, npt.NDArray[np.bool_]]]:
    """Yield (population, slice, which groups): all of them, each population, and each value of each slice."""
    import numpy as np

    yield EVERYBODY, None, np.ones(len(groups.users), dtype=bool)
    if spec.populations is not None:
        of = np.asarray(groups.population, dtype=object)
        # `*` is left out: its figures would have the name of those over all groups.
        for name in sorted(set(groups.population) - {EVERYBODY_ELSE}):
            yield name, None, of == name
    for attribute, column in groups.attributes.items():
        for value in sorted(set(column)):
            yield EVERYBODY, f"{attribute}={value}", np.asarray(column, dtype=object) == value


def records(spec: Spec, groups: Groups) -> list[EvaluationRecord]:
    """Average the groups into the flat list of figures (docs/descriptor.md, `evaluation.records`)."""
    import numpy as np

    from engine.intervals import interval, user_blocks
    from engine.metrics import parse_metric

    blocks = user_blocks(groups.users, INTERVAL_SEED)
    everything = np.ones(len(groups.users), dtype=bool)
    pieces = [(*part, groups.values) for part in parts(spec, groups)]
    pieces += [(EVERYBODY, piece, everything, values) for piece, values in groups.by_item.items()]
    figures = []
    for population, piece, mask, measured in counted(pieces, "populations and slices"):
        for (metric, contender), values in measured.items():
            # The refit was trained on these lists; features alone are baselines of the whole, not of each part.
            if contender == REFIT or ((piece or population != EVERYBODY) and feature_of(contender)):
                continue
            # Groups outside of the part become undefined instead of being dropped, so that all parts share the blocks.
            span = interval(np.where(mask, values, np.nan), blocks, INTERVAL_SEED)
            meaning = parse_metric(metric).definition
            figures.append(
                EvaluationRecord(
                    metric=metric,
                    of=contender,
                    population=population,
                    slice=piece,
                    value=json_number(span.value, DIGITS),
                    low=json_number(span.low, DIGITS),
                    high=json_number(span.high, DIGITS),
                    groups=span.groups,
                    definition=definition(meaning, piece) if piece in groups.by_item else meaning,
                )
            )
    return figures


def say_figures(figures: Sequence[EvaluationRecord], metric: str) -> None:
    """Say each contender's figure over all groups, without the features alone."""
    everybody = [f for f in select(figures, metric=metric, is_overall=True) if feature_of(f.of) is None]
    spans = [
        f"{f.of} undefined" if f.value is None else f"{f.of} {f.value:.4f} [{f.low or 0:.4f}, {f.high or 0:.4f}]"
        for f in everybody
    ]
    say("{metric} with its 95 % interval: {spans}", metric=metric, spans=", ".join(spans))
