"""The two-stage model beside its baselines on a shop's real data: `python -m bench.online_retail --data FOLDER`.

One held-out cut: as of 2011-10-31 the pipeline is evaluated on the cut 2011-09-30, with features and candidates of the
days up to it, and with what known customers bought in the 30 days after it as the truth (k = 20). The model is trained
with several seeds on the same examples, and is not refitted.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from bench._results import home_of, show, table
from engine.evaluation import MODEL
from tasks.evaluation.evaluate import evaluate_step
from tasks.examples.candidates import retrieve_step
from tasks.examples.sample import sample_step
from tasks.features.build import build_step
from tasks.runs.run import Run
from tasks.sources.land import land_step
from tasks.spec.project import TOOL
from tasks.store.files import Home
from tasks.training.train import populations, train_step

AS_OF = date(2011, 10, 31)
METRIC, HISTORY = "ndcg@20", "history"
SEEDS = (0, 1, 2)

Figures = Mapping[str, Mapping[str, float]]
"""Values by metric and by what was measured: the model or a baseline."""


def with_seed(run: Run, seed: int) -> Run:
    """Return a run of the same day that trains with another seed and publishes nothing.

    It has an attempt of its own, because the steps of one attempt refuse what another pipeline file made.
    """
    ranker = run.spec.ranker.model_copy(update={"seed": seed})
    publish = run.spec.publish.model_copy(update={"refit": False})
    spec = run.spec.model_copy(update={"ranker": ranker, "publish": publish})
    return replace(run, spec=spec, attempt=f"bench-seed-{seed}")


def measure(run: Run) -> tuple[int, Figures]:
    """Run every step up to the evaluation; return the number of evaluated groups, and their figures.

    Landing, tables and the candidates of a cut do not depend on the seed: the first run makes them, the others find
    them there. Only the sample is drawn again for each, and comes out the same.
    """
    for step in (land_step, build_step, retrieve_step, sample_step):
        step(run)
    for name in populations(run):
        train_step(run, name)
    evaluation = evaluate_step(run)
    values = {
        metric: {name: value for name, value in by_contender.items() if value is not None}
        for metric, by_contender in evaluation.metrics.items()
    }
    return evaluation.groups, values


def report(run: Run, cut: date, results: Mapping[int, tuple[int, Figures]]) -> str:
    """Lay out the table: the model by seed and its baselines, by metric."""
    figures = {seed: values for seed, (_, values) in results.items()}
    groups, first = next(iter(results.values()))
    baselines = [name for name in first[METRIC] if name != MODEL]
    rows = []
    for metric in run.spec.evaluate.metrics:
        values = [figures[seed][metric][MODEL] for seed in figures]
        mean, spread = statistics.mean(values), statistics.stdev(values)
        by_seed = [f"{mean:.4f} ± {spread:.4f}", *(f"{value:.4f}" for value in values)]
        rows.append((metric, *by_seed, *(f"{first[metric][name]:.4f}" for name in baselines)))
    gain = statistics.mean(figures[seed][METRIC][MODEL] for seed in figures) - first[METRIC][HISTORY]
    header = ("metric", "model, mean ± sd", *(f"seed {seed}" for seed in figures), *baselines)
    return "\n".join(
        [
            f"# {run.spec.name} as of {run.as_of}, evaluated on the cut {cut}",
            "",
            f"{groups:,} customers who bought something they could have been shown; features, candidates and training "
            f"labels of the days up to {cut}; truth: the {run.spec.label.horizon} days after it. The model is "
            f"above {HISTORY} by {gain:+.4f} {METRIC}. Made by `python -m bench.online_retail --write`.",
            "",
            table(header, rows),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("MATINEE_DATA", TOOL.parent / "shared" / "data")) / "online_retail"
    parser.add_argument("--data", type=Path, default=default, help="folder of one CSV per day")
    parser.add_argument("--pipeline", default="online_retail", help="name of the pipeline, or its file")
    parser.add_argument("--as-of", type=date.fromisoformat, default=AS_OF)
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    if not given.data.is_dir():
        print(f"skipped: {given.data} is absent; give the folder with --data, or its parent in MATINEE_DATA")
        return
    with home_of(given.home) as home:
        run = Run.create(given.pipeline, given.as_of, "bench", home=Home(home), data=given.data)
        if len(run.windows.test) != 1:
            raise SystemExit(f"this protocol evaluates on one cut; the pipeline's test cuts are {run.windows.test}")
        results = {seed: measure(with_seed(run, seed)) for seed in SEEDS}
        show("online_retail", report(run, run.windows.test[0], results), write=given.write)


if __name__ == "__main__":
    main()
