"""What the relevant items of the test cuts are, by the attributes of items among `evaluate.slices`: a file of a run.

A list has many items, so an item's attribute splits no lists. Such a slice asks how well lists find the items of one
value: of these alone the metric counts what is relevant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.examples.arrays import UNKNOWN
from tasks.examples.feature_sql import Value
from tasks.features.warehouse import Tables
from tasks.spec.attributes import RELATIONS, Attribute
from tasks.spec.spec import Spec
from tasks.store.sql import render

if TYPE_CHECKING:
    from tasks.runs.run import Run

ITEM_SLICES_FILE = "item_slices.parquet"
Values = Mapping[tuple[str, date], tuple[str, ...]]
"""By item and cut, the values of an attribute: several of a list; `unknown` where there is none."""


def item_slices(spec: Spec) -> list[Attribute]:
    """The attributes of items among the slices, in their order."""
    items = {part.name: part for part in spec.attributes if part.entity == "item"}
    return [items[name] for name in spec.evaluate.slices if name in items]


def group_slices(spec: Spec) -> list[str]:
    """The other slices: what is one of a list's user or request."""
    items = {part.name for part in item_slices(spec)}
    return [name for name in spec.evaluate.slices if name not in items]


def item_slices_query(attributes: Sequence[Attribute], cuts: Sequence[date]) -> str:
    """Query the values of the relevant items of some cuts, each attribute as a list of texts."""
    declared = RELATIONS["item"]
    values = []
    for part in attributes:
        value = part.sql(part.relation)
        as_list = value if part.type == "list" else f"[cast({value} as varchar)]"
        values.append(Value(part.name, part.relation, as_list))
    return render(
        Path(__file__).parent / "sql",
        "item_slices",
        values=values,
        declared=declared if any(part.relation == declared for part in attributes) else None,
        cuts=cuts,
    )


def write_item_slices(tables: Tables, run: Run, folder: Path) -> None:
    """Write that file, if a slice is by an attribute of items."""
    attributes = item_slices(run.spec)
    if attributes:
        tables.write(item_slices_query(attributes, run.windows.test), folder / ITEM_SLICES_FILE)


def read_item_slices(run: Run) -> dict[str, Values]:
    """Read what the relevant items of the test cuts are, by attribute; nothing where no slice is by one.

    Raises:
        MatineeError: the file is gone, or not what was written.
    """
    import pyarrow.parquet as pq

    attributes = item_slices(run.spec)
    if not attributes:
        return {}
    table = pq.read_table(run.file("sample", ITEM_SLICES_FILE))
    keys = list(zip(table["item_id"].to_pylist(), table["cut"].to_pylist(), strict=True))
    return {part.name: dict(zip(keys, map(_values, table[part.name].to_pylist()), strict=True)) for part in attributes}


def _values(texts: Sequence[str | None] | None) -> tuple[str, ...]:
    # As a set: an item that has a value twice is not relevant twice.
    known = sorted({text for text in texts or () if text is not None})
    return tuple(known) or (UNKNOWN,)
