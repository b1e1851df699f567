"""Serving against LightGBM and plain numpy, paired in one run: `python -m bench.serving`.

Prints ratios; absolute times do not carry over to another machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm as lgb
import numpy as np

from engine.folding import fold_in, gram
from engine.topk import Table, top_k
from engine.trees import Trees


def milliseconds(calls: list[Callable[[], object]], rounds: int = 25) -> list[float]:
    """Return the median milliseconds of each call, taken in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(rounds):
        for own, call in zip(times, calls, strict=True):
            start = time.perf_counter()
            call()
            own.append((time.perf_counter() - start) * 1e3)
    return [statistics.median(own) for own in times]


def row(what: str, ours: float, theirs: float, target: str) -> None:
    print(f"{what:48} {ours:9.3f} {theirs:9.3f} {ours / theirs:7.2f}  {target}")


def trees() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(20_000, 30))
    target = matrix[:, :5].sum(axis=1) + np.sin(3 * matrix[:, 5]) + random.normal(0, 0.5, 20_000)
    settings = {"objective": "regression", "num_leaves": 63, "verbose": -1, "num_threads": 1, "seed": 1}
    model = lgb.train(settings, lgb.Dataset(matrix, target), 300)
    with tempfile.TemporaryDirectory() as folder:
        model.save_model(Path(folder) / "trees.txt")
        ours = Trees.load(Path(folder) / "trees.txt")
    for rows in (1, 500, 20_000):
        given = matrix[:rows].astype(np.float32)
        np.testing.assert_array_equal(ours.predict(given), model.predict(given, raw_score=True, num_threads=1))
        pair = milliseconds(
            [
                lambda given=given: ours.predict(given),
                lambda given=given: model.predict(given, raw_score=True, num_threads=1),
            ],
            rounds=9 if rows > 1000 else 25,
        )
        row(f"300 trees × 63 leaves, {rows} × 30 / lightgbm", *pair, "≤ 0.67")


def retrieval() -> None:
    random = np.random.default_rng(0)
    for rows, factors in ((27_000, 128), (1_000_000, 64)):
        table = Table.of(random.normal(size=(rows, factors)))
        query = random.normal(size=(1, factors)).astype(np.float32)
        pair = milliseconds([lambda t=table, q=query: t.top(q, 100), lambda t=table, q=query: t.rows @ q[0]], rounds=15)
        row(f"exact top-100 of {rows} × {factors} / dot product", *pair, "≤ 1.1")
    scores = random.normal(size=1_000_000).astype(np.float32)
    pair = milliseconds([lambda: top_k(scores, 100), lambda: np.argpartition(scores, -100)[-100:]])
    row("top-100 of 1 M scores / argpartition", *pair, "≤ 0.1")
    items = random.normal(size=(27_000, 128)).astype(np.float32)
    shared = gram(items, 1.0)
    own = random.choice(27_000, 50, replace=False)
    confidence = np.full(50, 4.0, dtype=np.float32)
    pair = milliseconds([lambda: fold_in(items, shared, own, confidence), lambda: items[own] @ shared])
    row("fold-in, 50 items, 128 factors / 50×128×128", *pair, "≤ 0.12 ms")


if __name__ == "__main__":
    print(f"{'what':48} {'ours ms':>9} {'theirs':>9} {'ratio':>7}  target")
    trees()
    retrieval()
