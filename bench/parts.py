"""Is a model better than its parts, on every day and in every world? `python -m bench.parts`.

Runs a simulated pipeline up to its evaluation for several seeds of the simulator and several days, and compares the
model with whichever single feature or retriever's score orders the same test lists best: by what the members did, and
by the simulator's true relevance (`bench.streaming`). Intervals are over members, of the paired difference to the best
feature, chosen again in every replicate.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import yaml

from bench._results import home_of, show, table
from bench.streaming import CUTOFF, ndcg, truth_of
from engine.evaluation import MODEL
from engine.intervals import Interval, margin_over_best, user_blocks
from tasks.evaluation.evaluate import model_scores
from tasks.evaluation.figures import INTERVAL_SEED
from tasks.evaluation.results import GROUPS_FILE, GroupValues
from tasks.evaluation.single_features import SINGLE_FEATURES_FILE, SingleFeatures, single_values
from tasks.examples.arrays import group_offsets
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.steps import sequence
from tasks.spec.project import pipeline_path
from tasks.store.files import Home

Floats = npt.NDArray[np.float64]
LAST_STEP = "evaluate"
STEPS = ("land", "build", "retrieve", "sample", "train", LAST_STEP)
"""What figures depend on; checks and drift are other questions."""


def evaluated(pipeline: str, seed: int, as_of: date, attempt: str, home: Path) -> Run:
    """Return the run of a day in the world of a seed, as far as it is evaluated."""
    folder = home / f"seed-{seed}"  # a warehouse is of one world
    folder.mkdir(parents=True, exist_ok=True)
    document = copy.deepcopy(yaml.safe_load(pipeline_path(pipeline).read_text(encoding="utf-8")))
    document["source"]["seed"] = seed
    file = folder / f"{document['name']}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    run = Run.create(str(file), as_of, attempt, home=Home(folder))
    if not (run.step_dir(LAST_STEP) / "result.json").exists():
        for name, step in sequence().items():
            if name in STEPS:
                call_step(run, name, step)
    return run


def by_truth(run: Run, features: SingleFeatures) -> tuple[Floats, dict[str, Floats]]:
    """Measure the model and each feature by true relevance: one value per list."""
    examples = pq.read_table(run.step_dir("sample") / "test.parquet")
    offsets, truth = group_offsets(examples), truth_of(run, examples)
    alone = {}
    for row in features.features:
        column = examples[row.feature].to_numpy().astype(np.float64)
        alone[row.feature] = ndcg(-column if row.direction == "lower" else column, truth, offsets)
    return ndcg(model_scores(run, examples), truth, offsets), alone


def cells(model: Floats, alone: Mapping[str, Floats], blocks: npt.NDArray[np.int64]) -> tuple[str, str, str]:
    """The model's mean, the best feature with its mean, and the lead over it with its interval."""
    best = max(alone, key=lambda name: float(np.nanmean(alone[name])))
    lead = margin_over_best(model, list(alone.values()), blocks, INTERVAL_SEED)
    return f"{np.nanmean(model):.4f}", f"{best} {np.nanmean(alone[best]):.4f}", _lead(lead)


def _lead(span: Interval) -> str:
    return f"{span.value:+.4f} [{span.low:+.4f}, {span.high:+.4f}]"


def row_of(run: Run, seed: int) -> tuple[str, ...]:
    """Lay out one run."""
    folder = run.step_dir(LAST_STEP)
    groups = GroupValues.read(folder / GROUPS_FILE)
    features = SingleFeatures.read(folder / SINGLE_FEATURES_FILE)
    model = groups.of(features.metric, MODEL)
    assert model is not None
    blocks = user_blocks(groups.users, INTERVAL_SEED)
    logged = cells(model, single_values(groups, features.metric), blocks)
    return (str(seed), str(run.as_of), *logged, *cells(*by_truth(run, features), blocks))


def measure(pipeline: str, runs: Mapping[int, Sequence[Run]]) -> str:
    """Lay out the table: a line for each seed and day."""
    rows = [row_of(run, seed) for seed, of_seed in runs.items() for run in of_seed]
    logged, true = f"logged NDCG@{CUTOFF}", f"true NDCG@{CUTOFF}"
    header = ("seed", "as of", logged, "best feature", "lead", true, "best feature", "lead")
    return "\n".join(
        [
            f"# {Path(pipeline).stem}: the model beside the best of its features and retrievers' scores",
            "",
            "On the test lists of each day. The lead is the mean paired difference to the best feature with its 95 % "
            "interval over members; the best is chosen again in every replicate. Made by `python -m bench.parts "
            "--write`.",
            "",
            table(header, rows),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default="streaming", help="name of a simulated pipeline, or its file")
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 23, 42], help="seeds of the simulator")
    parser.add_argument(
        "--days", type=date.fromisoformat, nargs="+", default=[date(2026, 2, 27), date(2026, 3, 20)], help="as-of days"
    )
    parser.add_argument("--attempt", default="bench", help="attempt whose results are used if the home has them")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        runs = {
            seed: [evaluated(given.pipeline, seed, day, given.attempt, home) for day in given.days]
            for seed in given.seeds
        }
        show("parts", measure(given.pipeline, runs), write=given.write)


if __name__ == "__main__":
    main()
