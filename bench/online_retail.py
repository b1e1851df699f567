"""The two-stage model beside its baselines on a shop's real data: `python -m bench.online_retail --data FOLDER`.

One honest cut: as of 2011-10-31 the pipeline is judged on the cut 2011-09-30, with features and candidates of the
days up to it, and with what known customers bought in the 30 days after it as the truth (k = 20). The model is trained
with several seeds, on the same examples, and is not refitted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from datetime import date
from pathlib import Path
from typing import Any

from bench._results import home_of, show, table
from tasks.evaluation.evaluate import MODEL, evaluate_step
from tasks.examples.candidates import retrieve_step
from tasks.examples.sample import sample_step
from tasks.features.build import build_step
from tasks.runs.run import Run
from tasks.sources.land import land_step
from tasks.spec.project import PROJECT
from tasks.store.files import Home
from tasks.training.train import populations, train_step

AS_OF, CUT = date(2011, 10, 31), date(2011, 9, 30)
METRIC, HISTORY = "ndcg@20", "history"
SEEDS = (0, 1, 2)


def sampled(home: Path, data: Path) -> Run:
    """Return a run whose examples have been made."""
    run = Run.create("online_retail", AS_OF, "bench", home=Home(home), data=data)
    if run.windows.test != (CUT,):
        raise SystemExit(f"the pipeline's test cuts are {run.windows.test}; this protocol judges on {CUT} alone")
    for step in (land_step, build_step, retrieve_step, sample_step):
        step(run)
    return run


def with_seed(run: Run, seed: int) -> Run:
    """Return the run with another seed of the ranker, and with its examples."""
    ranker = run.spec.ranker.model_copy(update={"seed": seed})
    publish = run.spec.publish.model_copy(update={"refit": False})
    spec = run.spec.model_copy(update={"ranker": ranker, "publish": publish})
    made = Run(spec, run.home, run.as_of, f"bench-seed-{seed}", run.data)
    shutil.rmtree(made.dir, ignore_errors=True)
    shutil.copytree(run.step_dir("sample"), made.step_dir("sample"), copy_function=os.link)
    return made


def figures(run: Run) -> dict[str, Any]:
    """Train and evaluate; return the number of judged groups, and values by metric and by what was measured."""
    for name in populations(run):
        train_step(run, name)
    return evaluate_step(run)


def report(run: Run, results: dict[int, dict[str, Any]]) -> str:
    """Return the table: the model by seed and its baselines, by metric."""
    found = {seed: result["metrics"] for seed, result in results.items()}
    first = found[SEEDS[0]]
    rivals = [name for name in first[METRIC] if name != MODEL]
    rows = []
    for metric in run.spec.evaluate.metrics:
        values = [found[seed][metric][MODEL] for seed in SEEDS]
        mean, spread = statistics.mean(values), statistics.stdev(values)
        own = [f"{mean:.4f} ± {spread:.4f}", *(f"{value:.4f}" for value in values)]
        rows.append((metric, *own, *(f"{first[metric][name]:.4f}" for name in rivals)))
    gain = statistics.mean(found[seed][METRIC][MODEL] for seed in SEEDS) - first[METRIC][HISTORY]
    header = ("metric", "model, mean ± sd", *(f"seed {seed}" for seed in SEEDS), *rivals)
    return "\n".join(
        [
            f"# online_retail as of {AS_OF}, judged on the cut {CUT}",
            "",
            f"{results[SEEDS[0]]['groups']:,} customers who bought something they could have been shown; features, "
            f"candidates and training labels of the days up to {CUT}; truth: the 30 days after it. The model is above "
            f"{HISTORY} by {gain:+.4f} {METRIC}. Made by `python -m bench.online_retail --write`.",
            "",
            table(header, rows),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("MATINEE_DATA", PROJECT.parent / "shared" / "data")) / "online_retail"
    parser.add_argument("--data", type=Path, default=default, help="folder of one CSV per day")
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args()
    if not given.data.is_dir():
        print(f"skipped: {given.data} is absent; give the folder with --data, or its parent in MATINEE_DATA")
        return
    with home_of(given.home) as home:
        run = sampled(home, given.data)
        found = {seed: figures(with_seed(run, seed)) for seed in SEEDS}
        show("online_retail", report(run, found), write=given.write)


if __name__ == "__main__":
    main()
