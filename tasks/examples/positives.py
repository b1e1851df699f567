"""How many positives there are to learn from and to evaluate on, said before anything is trained.

A model that is fitted to fewer than ten positives for each of its features mostly repeats their noise: the rule of ten
events per variable (Peduzzi et al. 1996). Of lists without a positive, metrics say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import count_of
from tasks.store.database import memory
from tasks.store.records import Record
from tasks.store.sql import literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PER_FEATURE = 10
LISTS = 100
"""Held-out lists with a positive below which intervals are too wide to tell good models apart."""
LOOK = "`matinee labels` shows what each rule decides; longer windows in `examples` have more"


class Positives(Record):
    """What a window holds: examples with a grade above 0, lists with one of them, and all lists."""

    examples: int
    lists: int
    all_lists: int


def count_positives(paths: Sequence[Path]) -> Positives:
    """Count in files of examples."""
    files = ", ".join(literal(str(path)) for path in paths)
    query = (
        "select count(*) filter (grade > 0), count(distinct group_id) filter (grade > 0), count(distinct group_id) "
        f"from read_parquet([{files}])"
    )
    with memory() as connection:
        ((examples, lists, all_lists),) = connection.execute(query).fetchall()
    return Positives(examples=examples, lists=lists, all_lists=all_lists)


def positives_of(folder: Path) -> dict[str, Positives]:
    """Count in the examples of a sample: `learn`, those that the model learns from, and `test`."""
    parts = {"learn": ("train", "validation"), "test": ("test",)}
    files = {part: [folder / f"{name}.parquet" for name in names] for part, names in parts.items()}
    return {
        part: count_positives(there) for part, paths in files.items() if (there := [p for p in paths if p.is_file()])
    }


def too_few_to_learn(positives: int, features: int) -> str | None:
    """Say that there are few positives for so many features; None if there are enough."""
    if positives >= PER_FEATURE * features:
        return None
    return (
        f"few positives: {count_of(positives, 'example')} with a grade above 0, fewer than {PER_FEATURE} for each of "
        f"{count_of(features, 'feature')}"
    )


def positives_notices(positives: Mapping[str, Positives], features: int) -> list[str]:
    """Say where a sample has few positives for so many features, or few lists to evaluate on."""
    notices = []
    if (learn := positives.get("learn")) and (few := too_few_to_learn(learn.examples, features)):
        notices.append(f"{few}, in {count_of(learn.lists, 'list')} to learn from. {LOOK}")
    if (test := positives.get("test")) and test.lists < LISTS:
        notices.append(
            f"few lists to evaluate on: {test.lists:,} of {test.all_lists:,} have an example with a grade above 0, so "
            f"that intervals are wide (expected {LISTS} or more). {LOOK}"
        )
    return notices
