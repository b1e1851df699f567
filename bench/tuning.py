"""What tuning by the plateau costs and gives: `python -m bench.tuning --pipelines streaming … --home FOLDER`.

Of each pipeline the ranker is trained as it is written, with the settings of the peak, and with the simplest within one
standard error of it, several times each as in the noise of training; all are measured on the test window, which the
search has not seen. The search is timed with one and with two worker processes, each time from an empty journal, with
one thread for a training.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bench._results import home_of, show, table
from bench._tuning_pipelines import pipeline
from engine.arrays import Floats
from engine.evaluation import feature_of
from engine.intervals import Interval, interval, paired_interval, user_blocks
from engine.metrics import parse_metric
from tasks.evaluation.figures import INTERVAL_SEED
from tasks.evaluation.held_out import HeldOut, truth_of
from tasks.evaluation.single_features import measure_alone, read_orders
from tasks.examples.arrays import matrix
from tasks.examples.candidates import retrieve_step
from tasks.examples.sample import sample_step
from tasks.features.build import build_step
from tasks.runs.run import Run
from tasks.sources.land import land_step
from tasks.spec.populations import EVERYBODY_ELSE
from tasks.spec.rankers import Ranker, with_settings
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.training.noise import train_again
from tasks.training.ranker_trials import JOURNALS, tuned
from tasks.training.train import read_windows
from tasks.training.tune import tune_step
from tasks.tuning.choice import Tuning, listed

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("streaming_as_shipped", "streaming", "online_retail")
AS_OF = {"online_retail": date(2011, 10, 31)}
DAY = date(2026, 2, 28)


def sampled(spec: Spec, as_of: date, home: Path) -> Run:
    """A run whose sample is drawn."""
    data = os.environ.get("MATINEE_DATA")
    folder = Path(data, spec.name) if data and spec.source.type == "files" else None
    run = Run(spec, Home(home), as_of, "bench", folder)
    if not (run.step_dir("sample") / "result.json").exists():
        for step in (land_step, build_step, retrieve_step, sample_step):
            step(run)
    return run


def on_test(run: Run, held_out: HeldOut, settings: Ranker, trainings: int) -> Floats:
    """The first gate's metric of each test list: the mean over trainings on the train and the validation window."""
    examples = read_windows(run, EVERYBODY_ELSE, "train", "validation")
    metric, features = parse_metric(run.spec.gates[0].metric), matrix(held_out.table, run.spec.features)
    models = (train_again(examples, run.spec, settings, number) for number in range(trainings))
    values = [metric(held_out.lists(model.scorer().predict(features))) for model in models]
    return np.asarray(np.mean(values, axis=0))


def best_feature(run: Run, held_out: HeldOut) -> tuple[str, Floats]:
    """The feature that alone orders the test lists best, and its value of each."""
    alone = measure_alone(run, held_out, read_orders(run, held_out.table))
    metric = run.spec.gates[0].metric
    values = {feature_of(key.contender) or "": own for key, own in alone.values.items() if key.metric == metric}
    return max(values.items(), key=lambda pair: float(np.nanmean(pair[1])))


def compare(run: Run, trainings: int) -> list[tuple[str, ...]]:
    """Search, and lay out what was found beside the ranker as written and beside the best feature."""
    ranker, tuning = tuned(run, EVERYBODY_ELSE, partial(read_windows, run, EVERYBODY_ELSE))
    assert tuning is not None
    held_out = HeldOut.of(run.spec, pq.read_table(run.file("sample", "test.parquet")), truth_of(run))
    peak = with_settings(run.spec.ranker, tuning.trials[tuning.peak].settings)
    contenders: Mapping[str, Ranker] = {"as written": run.spec.ranker, "peak": peak, "plateau": ranker}
    values = {label: on_test(run, held_out, settings, trainings) for label, settings in contenders.items()}
    name, alone = best_feature(run, held_out)
    blocks = user_blocks(held_out.group_rows["user_id"].to_pylist(), INTERVAL_SEED)
    rows: list[tuple[str, ...]] = []
    for label, own in {**values, f"{name} alone": alone}.items():
        trial = {"peak": tuning.peak, "plateau": tuning.chosen}.get(label)
        rows.append(
            (
                run.spec.name,
                label,
                f"{interval(own, blocks, INTERVAL_SEED).value:.4f}",
                "" if label == "peak" else text(paired_interval(own, values["peak"], blocks, INTERVAL_SEED)),
                "" if own is alone else text(paired_interval(own, alone, blocks, INTERVAL_SEED)),
                *settings_of(tuning, trial),
            )
        )
    return rows


def settings_of(tuning: Tuning, trial: int | None) -> tuple[str, str]:
    """The complexity and the settings of a trial; nothing of what is none."""
    return ("", "") if trial is None else (str(tuning.trials[trial].complexity), listed(tuning.trials[trial].settings))


def text(span: Interval) -> str:
    """A difference with its interval."""
    return f"{span.value:+.4f} [{span.low:+.4f}, {span.high:+.4f}]"


def seconds_of(run: Run, workers: int) -> float:
    """Search from an empty journal with so many processes, each as the step `tune` runs in Airflow.

    Raises:
        SystemExit: one of them failed.
    """
    shutil.rmtree(run.dir / JOURNALS, ignore_errors=True)
    environment = {**os.environ, "MATINEE_THREADS": "1", "OMP_NUM_THREADS": "1"}
    spec = run.dir / "spec.json"
    spec.write_text(run.spec.model_dump_json(), encoding="utf-8")
    command = [sys.executable, "-m", "bench.tuning", "--worker", str(spec), str(run.home.root), str(run.as_of)]
    began = time.monotonic()
    children = [subprocess.Popen(command, env=environment, cwd=ROOT) for _ in range(workers)]
    codes = [child.wait() for child in children]
    if any(codes):
        raise SystemExit(f"workers ended with {codes}")
    return time.monotonic() - began


def work(spec: str, home: str, as_of: str) -> None:
    """One worker, in a process of its own."""
    declared = Spec.model_validate_json(Path(spec).read_text(encoding="utf-8"))
    tune_step(Run(declared, Home(Path(home)), date.fromisoformat(as_of), "bench"), 1)


def timed(run: Run, turns: int) -> tuple[str, ...]:
    """Time the search with one and with two workers in turns."""
    times: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(turns):
        for workers in (1, 2) if turn % 2 == 0 else (2, 1):
            times[workers].append(seconds_of(run, workers))
            print(f"{run.spec.name}: {workers} workers, {times[workers][-1]:.0f} s", file=sys.stderr)
    ratios = sorted(one / two for one, two in zip(times[1], times[2], strict=True))
    spread = f"{np.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
    return run.spec.name, *(f"{np.median(times[workers]):.0f}" for workers in (1, 2)), spread, "≥ 1.6"


def main(arguments: Sequence[str] | None = None) -> None:
    given_arguments = sys.argv[1:] if arguments is None else list(arguments)
    if given_arguments[:1] == ["--worker"]:
        work(*given_arguments[1:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", nargs="+", choices=NAMES, default=NAMES[:2])
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--trainings", type=int, default=3, help="of each contender")
    parser.add_argument("--turns", type=int, default=0, help="how often the search is timed")
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/results/")
    given = parser.parse_args(given_arguments)
    rows, times = [], []
    with home_of(given.home) as home:
        for name in given.pipelines:
            run = sampled(pipeline(name, given.trials), AS_OF.get(name, DAY), home)
            times += [timed(run, given.turns)] if given.turns else []
            rows += compare(run, given.trainings)
    header = ("pipeline", "ranker", "test lists", "− peak", "− best feature", "complexity", "settings")
    page = [
        "# What tuning by the plateau costs and gives",
        "",
        f"{given.trials} trials by TPE and three trainings of each leader, on the validation window. Figures are of "
        f"the first gate's metric on the test lists, over {given.trainings} trainings; intervals of 95 % are over "
        "users. Complexity: the sum of the places of the values in their lists. Made by `python -m bench.tuning`.",
        "",
        table(header, rows),
        *(["", table(("search", "s, one worker", "s, two", "ratio", "required"), times)] if times else []),
    ]
    show("tuning", "\n".join(page), write=given.write)


if __name__ == "__main__":
    main()
