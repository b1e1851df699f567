"""The places where items were shown: positions, of each layout its own, and how likely they are to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.training.bias.results import Slot

if TYPE_CHECKING:
    import pyarrow as pa

    from engine.arrays import Bools, Floats, Offsets

_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Slots:
    """The slots of some examples, by layout and position; `codes` has the slot of each example."""

    names: tuple[tuple[tuple[str, ...], int], ...]
    codes: Offsets

    @classmethod
    def of(cls, table: pa.Table, layout: Sequence[str]) -> Slots:
        """Find the slots of examples; `layout` names the columns that tell layouts apart."""
        positions = table["position"].to_pylist()
        columns = [table[name].to_pylist() for name in layout]
        rows = list(zip(zip(*columns, strict=True) if columns else [()] * len(positions), positions, strict=True))
        names = sorted(set(rows))
        number = {name: code for code, name in enumerate(names)}
        return cls(tuple(names), np.array([number[row] for row in rows], dtype=np.int64))

    def sums(self, values: Floats) -> Floats:
        """Sum up a value of each example by slot, in the order of the examples."""
        sums: Floats = np.bincount(self.codes, weights=values, minlength=len(self.names)).astype(np.float64)
        return sums

    def records(self, examination: Floats, relevant: Bools, among: Bools) -> tuple[Slot, ...]:
        """Write down an estimate that is of the examples `among` all."""
        shown = self.sums(among.astype(np.float64))
        found = self.sums((among & relevant).astype(np.float64))
        return tuple(
            Slot(
                layout=layout,
                position=position,
                examination=round(float(examination[code]), _DIGITS),
                shown=int(shown[code]),
                relevant=int(found[code]),
            )
            for code, (layout, position) in enumerate(self.names)
        )


def of_random_pages(slots: Slots, relevant: Bools, weights: Floats, among: Bools) -> Floats:
    """Estimate by pages in random order how likely each slot is to be looked at, compared with the likeliest.

    In random order every slot has equally good items, so that what is found in it differs by examination alone
    (Joachims, Swaminathan & Schnabel, 2017). Each slot counts one more relevant item, found at the mean rate: a slot
    with few examples is drawn to the mean, and none has the probability 0.

    Args:
        slots: of all examples.
        relevant: of each example.
        weights: of each example, those of the sample.
        among: the examples on such pages; one at least is relevant.
    """
    own = np.where(among, weights, 0.0)
    shown, found = slots.sums(own), slots.sums(own * relevant)
    rate = found.sum() / shown.sum()
    unit = own.sum() / among.sum()  # an example weighs so much
    estimate = (found + unit) / (shown + unit / rate)
    examination: Floats = estimate / estimate.max()
    return examination
