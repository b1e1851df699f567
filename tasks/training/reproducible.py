"""Does the same training give the same model? Each run tries it, on a small budget, before it trusts its settings.

A version is named by what it is made from, so two models of one name would be two versions.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import TrainingError
from tasks.examples.arrays import group_ends
from tasks.runs.narration import say
from tasks.spec.rankers import LightGBM, Ranker
from tasks.store.files import digest, sha256_file
from tasks.store.records import Record
from tasks.training.models import save_model
from tasks.training.rankers import train_ranker

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.spec.spec import Spec

GROUPS = 300
ROUNDS = 5
"""Enough to bin features, to draw from every random stream, and to boost on earlier trees: what may differ."""


class Reproduced(Record):
    """What was trained twice, to the same bytes.

    Attributes:
        examples: rows that both models were trained on.
        groups: lists that they form.
        settings: that were smaller than the model's own.
    """

    examples: int
    groups: int
    settings: dict[str, int]


def check_reproducible(examples: pa.Table, spec: Spec, settings: Ranker) -> Reproduced:
    """Train a smaller model twice on the first groups, and compare the files.

    Args:
        examples: rows of a group together.
        spec: the pipeline.
        settings: of the ranker.

    Raises:
        TrainingError: the files differ, or nothing can be learned from these examples.
    """
    began = time.monotonic()
    ends = group_ends(examples)[:GROUPS]
    few = examples.slice(0, int(ends[-1]) if len(ends) else 0)
    smaller = {"rounds": min(settings.rounds, ROUNDS)} if isinstance(settings, LightGBM) else {}
    less = settings.model_copy(update=smaller)
    one, two = _digest(few, spec, less), _digest(few, spec, less)
    if one != two:
        named = ", ".join(f"{name}: {value}" for name, value in less.model_dump(mode="json").items() if name != "type")
        raise TrainingError(
            f"the ranker {settings.type} is not reproducible with {{{named}}}: trained twice on the same "
            f"{few.num_rows:,} examples in {len(ends):,} groups it gave the digests {one[:12]} and {two[:12]}. Look "
            "for a seed that is not set, for a clock, and for sums whose order depends on threads"
        )
    say(
        "trained twice on {examples:,} examples in {groups:,} groups, the same bytes, in {seconds:.1f} s",
        examples=few.num_rows, groups=len(ends), seconds=time.monotonic() - began,
    )  # fmt: skip
    return Reproduced(examples=few.num_rows, groups=len(ends), settings=smaller)


def _digest(examples: pa.Table, spec: Spec, settings: Ranker) -> str:
    with tempfile.TemporaryDirectory() as name:
        save_model(train_ranker(examples, spec, settings), Path(name) / "model")
        # A blend has a folder for each of its members.
        files = sorted(path for path in (Path(name) / "model").rglob("*") if path.is_file())
        return digest({str(path.relative_to(name)): sha256_file(path) for path in files})
