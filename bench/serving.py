"""Serving compared with LightGBM and plain numpy, paired in one run: `python -m bench.serving`.

Prints ratios; absolute times do not carry over to another machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import lightgbm as lgb
import numpy as np

from engine.als import Penalty
from engine.folding import fold_in, shared_part
from engine.topk import Table, top_k
from engine.trees import Trees


def compare(what: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int, target: str) -> None:
    """Time two calls in turns, so that a busy moment of the machine hits both; print the medians and their ratio."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    calls = {"ours": ours, "theirs": theirs}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    mine, other = (statistics.median(values) for values in times.values())
    print(f"{what:48} {mine:9.3f} {other:9.3f} {mine / other:7.2f}  {target}")


def trees(scale: float, rounds: int) -> None:
    """Time the engine's trees against LightGBM's own prediction, and check that both give equal scores."""
    random = np.random.default_rng(0)
    largest = int(20_000 * scale)
    matrix = random.normal(size=(largest, 30))
    target = matrix[:, :5].sum(axis=1) + np.sin(3 * matrix[:, 5]) + random.normal(0, 0.5, largest)
    settings = {"objective": "regression", "num_leaves": 63, "verbose": -1, "num_threads": 1, "seed": 1}
    model = lgb.train(settings, lgb.Dataset(matrix, target), 300)
    with tempfile.TemporaryDirectory() as folder:
        model.save_model(Path(folder) / "trees.txt")
        ours = Trees.load(Path(folder) / "trees.txt")
    for rows in (1, largest // 40, largest):
        given = matrix[:rows].astype(np.float32)
        theirs = partial(model.predict, given, raw_score=True, num_threads=1)
        np.testing.assert_array_equal(ours.predict(given), theirs())
        calls = min(rounds, 9) if rows > 1000 else rounds
        compare(f"300 trees × 63 leaves, {rows} × 30 / lightgbm", partial(ours.predict, given), theirs, calls, "≤ 0.67")


def retrieval(scale: float, rounds: int) -> None:
    """Time exact top-k and fold-in against the numpy operations that bound them from below."""
    random = np.random.default_rng(0)
    catalog, million = int(27_000 * scale), int(1_000_000 * scale)
    for rows, factors in ((catalog, 128), (million, 64)):
        table = Table.of(random.normal(size=(rows, factors)))
        query = random.normal(size=(1, factors)).astype(np.float32)
        name = f"exact top-100 of {rows} × {factors} / dot product"
        compare(name, partial(table.top, query, 100), partial(np.matmul, table.rows, query[0]), rounds, "≤ 1.1")
    scores = random.normal(size=million).astype(np.float32)
    theirs = partial(np.argpartition, scores, -100)
    compare(f"top-100 of {million} scores / argpartition", partial(top_k, scores, 100), theirs, rounds, "≤ 0.1")
    items = random.normal(size=(catalog, 128)).astype(np.float32)
    shared, penalty = shared_part(items), Penalty(1.0)
    history = random.choice(catalog, 50, replace=False).astype(np.int32)
    confidence = np.full(50, 4.0, dtype=np.float32)
    ours = partial(fold_in, items, shared, penalty, history, confidence)
    name = "fold-in, 50 items, 128 factors / 50×128×128"
    compare(name, ours, partial(np.matmul, items[history], shared), rounds, "≤ 0.12 ms")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full numbers of rows")
    parser.add_argument("--rounds", type=int, default=25, help="timed calls of each; medians are shown")
    given = parser.parse_args(arguments)
    print(f"{'what':48} {'ours ms':>9} {'theirs':>9} {'ratio':>7}  target")
    trees(given.scale, given.rounds)
    retrieval(given.scale, given.rounds)


if __name__ == "__main__":
    main()
