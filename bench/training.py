"""What training costs beside the raw library, paired in one run: `python -m bench.training`.

Synthetic examples for lambdarank, synthetic interactions for EASE and ALS; each fit in a process of its own, ours and
the library's in turns, so that a busy moment of the machine hits both. CPU seconds (user + system) are those of the
fit, from the file to a model in memory; memory is the peak of the whole process. Times are printed, never asserted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from bench._child import run_child
from bench._results import show, table
from bench._training_contenders import CONTENDERS, spec

LIST = 25
"""Examples of a group."""
LABELS = {
    "lambdarank": "LightGBM lambdarank / lightgbm",
    "ease": "EASE / numpy with BLAS",
    "als": "ALS, solver: exact / implicit",
    "als_implicit": "ALS, solver: implicit / implicit",
    "bpr": "BPR / implicit",
    "logistic_mf": "logistic MF / implicit",
    "cosine": "neighbors, cosine / implicit",
    "tfidf": "neighbors, TF-IDF / implicit",
    "bm25": "neighbors, BM25 / implicit",
}
REQUIRED = "≤ 1.05"


@dataclass(frozen=True)
class Fit:
    """CPU seconds of a fit, and the peak of its process in 10^9 bytes."""

    cpu: float
    peak: float


def write_examples(path: Path, groups: int, seed: int) -> None:
    """Write lists of 25 examples, the grade following a few of the features."""
    random, names = np.random.default_rng(seed), spec().features
    values = random.normal(size=(groups * LIST, len(names))).astype(np.float32)
    signal = values[:, 0] + values[:, 1] * values[:, 2] + random.normal(0, 1, len(values))
    columns: dict[str, pa.Array] = {
        "group_id": pa.array(np.repeat(np.char.zfill(np.arange(groups).astype(str), 8), LIST)),
        "grade": pa.array(np.digitize(signal, [1.0, 2.0, 3.0]).astype(np.int32)),
        "weight": pa.array(np.ones(len(values))),
    }
    columns |= {name: pa.array(values[:, place]) for place, name in enumerate(names)}
    pq.write_table(pa.table(columns), path)


def write_interactions(path: Path, shape: tuple[int, int], pairs: int, seed: int) -> None:
    """Write a (users, items) matrix of counts, a few items having most of them."""
    random = np.random.default_rng(seed)
    users = random.integers(0, shape[0], pairs)
    items = (shape[1] * random.random(pairs) ** 2).astype(np.int64)
    sp.save_npz(path, sp.csr_matrix((np.ones(pairs, dtype=np.float32), (users, items)), shape=shape))


def write(folder: Path, groups: int, shape: tuple[int, int], pairs: int) -> None:
    """Write the data of the bench, and a tiny one of the same kind for warming up."""
    (folder / "tiny").mkdir(parents=True, exist_ok=True)
    write_examples(folder / "examples.parquet", groups, 0)
    write_interactions(folder / "interactions.npz", shape, pairs, 0)
    write_examples(folder / "tiny" / "examples.parquet", 40, 1)
    write_interactions(folder / "tiny" / "interactions.npz", (50, 40), 500, 1)


def fit(learner: str, whose: str, folder: Path) -> Fit:
    """Fit once in a process of its own.

    Raises:
        SystemExit: it ended with an error.
    """
    printed, peak = run_child("bench._training_contenders", [learner, whose, str(folder)], folder)
    return Fit(printed["cpu"], peak)


def row_of(learner: str, fits: dict[str, list[Fit]]) -> tuple[str, ...]:
    """Lay out a learner: medians, and the median of the ratios of each turn."""
    cpu = {whose: statistics.median(one.cpu for one in of) for whose, of in fits.items()}
    peak = {whose: statistics.median(one.peak for one in of) for whose, of in fits.items()}
    ratios = [ours.cpu / raw.cpu for ours, raw in zip(fits["ours"], fits["raw"], strict=True)]
    spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
    memory = (f"{peak['ours']:.2f}", f"{peak['raw']:.2f}")
    return LABELS[learner], f"{cpu['ours']:.2f}", f"{cpu['raw']:.2f}", spread, REQUIRED, *memory


def measure(folder: Path, learners: Sequence[str], turns: int) -> list[tuple[str, ...]]:
    """Fit each learner's contenders in turns."""
    rows = []
    for learner in learners:
        fits: dict[str, list[Fit]] = {"ours": [], "raw": []}
        for turn in range(turns):
            # Who goes first changes, or the second would always find the files in memory.
            for whose in ("ours", "raw") if turn % 2 == 0 else ("raw", "ours"):
                print(f"{LABELS[learner]}: {whose}, turn {turn + 1} of {turns}", file=sys.stderr)
                fits[whose].append(fit(learner, whose, folder))
        rows.append(row_of(learner, fits))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=40_000, help=f"lists of {LIST} examples")
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=3_700)
    parser.add_argument("--pairs", type=int, default=2_000_000, help="interactions")
    parser.add_argument("--learners", nargs="+", choices=sorted(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="matinee-bench-") as name:
        write(Path(name), given.groups, (given.users, given.items), given.pairs)
        rows = measure(Path(name), given.learners, given.turns)
    header = ("learner / raw library", "CPU s", "raw", "ratio [least, most]", "required", "peak GB", "raw")
    text = [
        "# What training costs beside the raw library",
        "",
        f"{given.groups * LIST:,} examples of {len(spec().features)} features for lambdarank; {given.pairs:,} "
        f"interactions of {given.users:,} users and {given.items:,} items for the others; {given.turns} turns, each "
        "fit in a process of its own. CPU seconds are of the fit from its file on, ratios are of the turns' pairs. "
        "Made by `python -m bench.training`.",
        "",
        table(header, rows),
    ]
    show("training", "\n".join(text), write=given.write)


if __name__ == "__main__":
    main()
