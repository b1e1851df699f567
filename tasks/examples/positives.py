"""How many positives there are to learn from and to evaluate on, said before anything is trained.

A model that is fitted to fewer than ten positives for each of its features mostly repeats their noise: the rule of ten
events per variable (Peduzzi et al. 1996). Of lists without a positive, metrics say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.store.database import memory
from tasks.store.sql import literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tasks.spec.spec import Spec
    from tasks.store.run_files import RunFiles

PER_FEATURE = 10
LISTS = 100
"""Held-out lists with a positive below which intervals are too wide to tell good models apart."""
LOOK = "`matinee labels` shows what each rule decides; longer windows in `examples` have more"


@dataclass(frozen=True)
class Positives:
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
    return Positives(examples, lists, all_lists)


def too_few_to_learn(positives: int, features: int) -> str | None:
    """Say that there are few positives for so many features; None if there are enough."""
    if positives >= PER_FEATURE * features:
        return None
    return (
        f"few positives: {positives:,} examples have a grade above 0, fewer than {PER_FEATURE} for each of the "
        f"{features:,} features"
    )


def positives_notices(run: RunFiles, spec: Spec) -> list[str]:
    """Say where a run's sample has few positives to learn from, or to evaluate on; nothing before there is one."""
    folder = run.step_dir("sample")
    learned = [path for name in ("train", "validation") if (path := folder / f"{name}.parquet").is_file()]
    notices = []
    if learned:
        found = count_positives(learned)
        if few := too_few_to_learn(found.examples, len(spec.features)):
            notices.append(f"{few}, in {found.lists:,} lists to learn from. {LOOK}")
    if (test := folder / "test.parquet").is_file():
        found = count_positives([test])
        if found.lists < LISTS:
            notices.append(
                f"few lists to evaluate on: {found.lists:,} of {found.all_lists:,} have an example with a grade above "
                f"0, so that intervals are wide (expected {LISTS} or more). {LOOK}"
            )
    return notices
