"""Do metrics on logged feedback tell the truth? `python -m bench.streaming`.

Runs the streaming pipeline for a day (or takes the run that is in `--home`), and measures the model, its baselines and
the truth itself on the run's test lists twice: by what the members did (the logged grades, which depend on each
title's position), and by the simulator's true relevance, P(plays the title to its end | looks at it), as the gain.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from bench._results import home_of, show, table
from engine.evaluation import MODEL
from engine.intervals import interval, user_blocks
from engine.lists import Lists
from engine.metrics import parse_metric
from tasks.evaluation.evaluate import model_scores
from tasks.evaluation.figures import INTERVAL_SEED
from tasks.evaluation.held_out import baseline_rows
from tasks.examples.arrays import group_offsets
from tasks.operations.run_all import run_all
from tasks.runs.run import Run
from tasks.sources.simulation.service import Service, true_relevance
from tasks.spec.parts import Simulated
from tasks.store.files import Home

Floats = npt.NDArray[np.float64]
CUTOFF = 10


def evaluated(pipeline: str, as_of: date, attempt: str, home: Path) -> Run:
    """Return a run that has been evaluated: the one the home already has, or a new one."""
    run = Run.create(pipeline, as_of, attempt, home=Home(home))
    if not (run.step_dir("evaluate") / "result.json").exists():
        run_all(run, Console())
    return run


def truth_of(run: Run, examples: pa.Table) -> Floats:
    """Look up the true relevance of each example on the day it was shown."""
    assert isinstance(run.spec.source, Simulated)
    service = Service(run.spec.source.users, run.spec.source.items, run.spec.source.seed)
    users, items = (np.asarray(examples[name].to_pylist()) for name in ("user_id", "item_id"))
    cuts = np.asarray(examples["cut"].to_pylist())
    values = np.zeros(examples.num_rows)
    for cut in np.unique(cuts):
        mask = cuts == cut
        day = cut + timedelta(days=1)
        values[mask] = true_relevance(service, day, users[mask].tolist(), items[mask].tolist())
    return values


def ndcg(scores: Floats, gains: Floats, offsets: npt.NDArray[np.int64], k: int = CUTOFF) -> Floats:
    """NDCG@k of each group for fractional gains, which `engine.metrics` does not take; NaN where all gains are 0."""
    discounts = 1.0 / np.log2(np.arange(k) + 2.0)
    values = np.full(len(offsets) - 1, np.nan)
    for number, (low, high) in enumerate(itertools.pairwise(offsets)):
        of_group = gains[low:high]
        ranked = of_group[np.argsort(-scores[low:high], kind="stable")][:k]
        best = np.sort(of_group)[::-1][:k]
        ideal = float(best @ discounts[: len(best)])
        if ideal > 0.0:
            values[number] = float(ranked @ discounts[: len(ranked)]) / ideal
    return values


def measure(run: Run) -> str:
    """Lay out the table: each ordering of the test lists, by logged and by true relevance."""
    examples = pq.read_table(run.step_dir("sample") / "test.parquet")
    offsets, grades = group_offsets(examples), examples["grade"].to_numpy()
    truth = truth_of(run, examples)
    contenders = {MODEL: model_scores(run, examples)}
    contenders |= {name: baseline_rows(run.spec, examples, name)[0] for name in run.spec.evaluate.baselines}
    contenders |= {"the truth": truth}
    users = examples["user_id"].take(offsets[:-1]).to_pylist()
    blocks, rows = user_blocks(users, INTERVAL_SEED), []
    for name, scores in contenders.items():
        logged = parse_metric(f"ndcg@{CUTOFF}")(Lists.of(scores, grades, offsets))
        np.testing.assert_allclose(ndcg(scores, grades.astype(np.float64), offsets), logged, atol=1e-12)
        cells = []
        for values in (logged, ndcg(scores, truth, offsets)):
            span = interval(values, blocks, INTERVAL_SEED)
            cells.append(f"{span.value:.4f} ±{(span.high - span.low) / 2:.4f}")
        rows.append((name, *cells))
    windows = run.windows.test
    return "\n".join(
        [
            f"# {run.spec.name} as of {run.as_of}: logged against true relevance",
            "",
            f"{len(users):,} lists of the cuts {windows[0]} to {windows[-1]} with a grade above 0; the same "
            f"lists in every row. ± is half the 95 % interval over members. Made by `python -m bench.streaming "
            f"--as-of {run.as_of} --write`.",
            "",
            table(("ordered by", f"logged NDCG@{CUTOFF}", f"true-relevance NDCG@{CUTOFF}"), rows),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default="streaming", help="name of a simulated pipeline, or its file")
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--as-of", type=date.fromisoformat, default=date(2026, 2, 25))
    parser.add_argument("--attempt", default="bench", help="attempt whose results are used if the home has them")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        run = evaluated(given.pipeline, given.as_of, given.attempt, home)
        show("streaming", measure(run), write=given.write)


if __name__ == "__main__":
    main()
