"""Inverse propensity weights of the examples that a model learns from (`position_bias: {type: ips}`).

By logged propensities every example counts one over the probability with which it was shown where it was: in sum, as if
each item had been shown in each place equally often. By examination a relevant example stands for those that nobody
looked at: of a loss over single examples it counts one over the examination of its slot, and the others count as they
are; of a loss over lists each relevant example makes a list of its own, with those that are not relevant, which counts
that much (Joachims, Swaminathan & Schnabel, 2017; docs/adr/0055).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import TrainingError
from tasks.examples.arrays import group_offsets
from tasks.spec.feedback.position_bias import InversePropensity
from tasks.training.bias.regression_em import examination_by_em
from tasks.training.bias.results import PropensityWeights, Slot
from tasks.training.bias.slots import Slots, of_random_pages

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Bools, Floats, Offsets
    from tasks.spec.spec import Spec

_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Weighted:
    """The weight of each example beside that of the sample; 1 where it has none."""

    weights: Floats
    record: PropensityWeights


def times(rows: pa.Table, weights: Floats) -> pa.Table:
    """Multiply the weights of the sample by others."""
    import pyarrow as pa

    column = pa.array(rows["weight"].to_numpy() * weights)
    return rows.set_column(rows.schema.get_field_index("weight"), "weight", column)


def propensity_weights(rows: pa.Table, spec: Spec, declared: InversePropensity) -> Weighted:
    """Weigh examples that are trained on.

    Raises:
        TrainingError: propensities are missing, or nothing can be estimated from these examples.
    """
    relevant = rows["grade"].to_numpy() > 0
    if declared.propensities == "logged":
        return _weighted(rows, 1.0 / _logged(rows), np.ones(len(relevant), dtype=np.bool_), declared)
    slots = Slots.of(rows, declared.layout)
    if declared.propensities == "randomized":
        among = np.asarray(rows["policy"].to_pylist(), dtype=object) == declared.policy
        _require_relevant(relevant & among, f"that the policy {declared.policy!r} showed")
        weights = rows["weight"].to_numpy().astype(np.float64)
        examination = of_random_pages(slots, relevant, weights, among)
    else:
        among = np.ones(len(relevant), dtype=np.bool_)
        _require_relevant(relevant, "to train on")
        examination = examination_by_em(rows, spec.features, slots, relevant)
    inverse = 1.0 / examination[slots.codes]
    return _weighted(rows, inverse, relevant, declared, slots.records(examination, relevant, among))


def _logged(rows: pa.Table) -> Floats:
    missing = rows["propensity"].null_count
    if missing:
        raise TrainingError(
            f"{missing:,} of {rows.num_rows:,} examples have no logged propensity, expected one for each: land it with "
            "the impressions, or estimate examination with `position_bias: {type: ips, propensities: regression_em}`"
        )
    propensities: Floats = rows["propensity"].to_numpy().astype(np.float64)
    return propensities


def _require_relevant(relevant: Bools, which: str) -> None:
    if not relevant.any():
        raise TrainingError(
            f"none of the examples {which} is relevant, so nothing says how likely a position is to be looked at "
            "(`position_bias.propensities`)"
        )


def _weighted(
    rows: pa.Table, inverse: Floats, among: Bools, declared: InversePropensity, slots: Sequence[Slot] = ()
) -> Weighted:
    """Cut off the weights of the examples `among`; the others weigh 1."""
    of_sample = rows["weight"].to_numpy().astype(np.float64)[among]
    own = inverse[among]
    bound = declared.clip * float(np.sum(of_sample * own) / np.sum(of_sample))
    kept = np.minimum(own, bound)
    total = of_sample * kept
    weights = np.ones(len(among))
    weights[among] = kept
    record = PropensityWeights(
        propensities=declared.propensities,
        weighted=len(own),
        effective=round(float(np.sum(total) ** 2 / np.sum(total**2)), _DIGITS),
        clipped=int(np.sum(own > bound)),
        largest=round(float(kept.max() * np.sum(of_sample) / np.sum(total)), _DIGITS),
        slots=tuple(slots),
    )
    return Weighted(weights, record)


def lists_of_relevant(rows: pa.Table, weights: Floats, spec: Spec) -> pa.Table:
    """Make a list of each relevant example, with those of its list that are not relevant; a list has one weight.

    Pairs of which both are relevant are in none of them: what the worse one tells of examination, its own list says.

    Args:
        rows: examples, those of a list together.
        weights: of each example; of those that are not relevant they do not count.
        spec: what grades are worth: an example counts by its share in the best of its list.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from tasks.training.learners.labels import label_gain

    grades, offsets = rows["grade"].to_numpy(), group_offsets(rows)
    gains = np.asarray(label_gain(spec, int(grades.max(initial=0))), dtype=np.float64)[grades]
    taken: list[Offsets] = []
    lists: list[Offsets] = []
    factors: list[Floats] = []
    for first, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        own = np.arange(first, end)
        chosen = own[grades[first:end] > 0]
        for row in chosen:
            kept = own[(grades[first:end] == 0) | (own == row)]
            taken.append(kept)
            lists.append(np.full(len(kept), len(lists)))
            factors.append(np.full(len(kept), weights[row] * gains[row] / gains[first:end].max()))
    number = pa.array(np.concatenate(lists)).cast(pa.string())
    copies = rows.take(pa.array(np.concatenate(taken)))
    # Copies of one list stand beside each other, and must not be taken for one.
    names = pc.binary_join_element_wise(copies["group_id"].combine_chunks(), number, "#")
    copies = copies.set_column(copies.schema.get_field_index("group_id"), "group_id", names)
    return times(copies, np.concatenate(factors))
