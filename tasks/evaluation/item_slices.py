"""Slices by attributes of items: the groups as they are, with the items of one value alone counted as relevant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.evaluation.held_out import HeldOut
from tasks.examples.arrays import relevant_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.examples.item_slices import Values


def narrowed(held_out: HeldOut, truth: pa.Table | None, by_item: Mapping[str, Values]) -> Iterator[tuple[str, HeldOut]]:
    """Yield each slice, named `<attribute>=<value>`, with the groups whose relevant items are those of the value.

    Args:
        held_out: the groups with everything that is relevant.
        truth: every relevant item of snapshots, as `held_out` was made of; None for impressions.
        by_item: by attribute, the values of relevant items.
    """
    import numpy as np
    import pyarrow as pa

    def having(table: pa.Table, values: Values, value: str) -> list[bool]:
        keys = zip(table["item_id"].to_pylist(), table["cut"].to_pylist(), strict=True)
        return [value in values.get(key, ()) for key in keys]

    groups = held_out.group_rows["group_id"].to_pylist()
    for attribute, values in by_item.items():
        for value in sorted({value for some in values.values() for value in some}):
            grades = np.where(having(held_out.table, values, value), held_out.grades, 0).astype(np.uint8)
            part = None if truth is None else truth.filter(pa.array(having(truth, values, value), pa.bool_()))
            relevant = None if part is None else relevant_of(groups, part)
            yield f"{attribute}={value}", replace(held_out, grades=grades, relevant=relevant)


def definition(metric: str, piece: str) -> str:
    """Say what a metric measures in such a slice."""
    return f"{metric}/relevant only if {piece}"
