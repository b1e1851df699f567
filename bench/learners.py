"""All learners beside each other, by quality, time, memory and size: `python -m bench.learners --home … --write`.

On the two bundled pipelines and MovieLens 100k. Rankers learn from the same sample files of one run; retrievers are
fitted on the past of its test cuts. Each is fitted in a process of its own. All rank the test lists of the run, by the
code of the step `evaluate`; retrievers make lists of their own, too, under the run's rule for seen items. Intervals are
over users.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from bench._child import run_child
from bench._learner_cases import Case, rankers, retrievers
from bench._learner_fit import Cost, Floats, Job, Metrics
from bench._learner_tables import Row, Table, section_of
from bench._results import home_of, keep
from engine.intervals import user_blocks
from tasks.evaluation.evaluate import evaluated_examples
from tasks.evaluation.figures import INTERVAL_SEED
from tasks.evaluation.held_out import HeldOut, truth_of
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.steps import sequence
from tasks.spec.project import TOOL
from tasks.store.files import Home

STEPS = ("land", "build", "retrieve", "sample")
K = 100
TITLE = "All learners beside each other"
ABOUT = f"""\
Made by `python -m bench.learners --write`. Each learner is fitted in a process of its own with two threads. CPU seconds
(user and system) are those of the fit alone, from what it learns from in memory to the model; the peak is that of the
process at the end of the fit, libraries and data included; bytes are those of the files that a version would publish.

Rankers of trees have the settings of the pipeline's own, but for what the row says; all others, and all retrievers,
have their defaults, unless the row says that it is the pipeline's. What a pipeline declares was chosen for it, defaults
were not: a row is a learner with these settings, and a difference says no more than that.

Quality is that of the lists of the test window, with 95 % intervals over users; differences are paired, list by list.
Of some thirty differences to one base, one or two leave 0 out by chance. Retrievers have the same users and the same
rule for what these have seen: recall is the share of what they consumed that is among the first {K} items. NDCG is that
of these items in their order, all that was consumed being the ideal; where lists are impressions, it is that of what
was shown, ordered by the retriever's scores, as rankers order it."""


@dataclass(frozen=True)
class Bench:
    """A pipeline, the day of its run, and where its data are: a folder beside those of the others."""

    pipeline: str
    as_of: date
    data: str | None = None

    @property
    def name(self) -> str:
        return Path(self.pipeline).stem


BENCHES = (
    Bench("streaming", date(2026, 2, 27)),
    Bench("online_retail", date(2011, 10, 31), "online_retail"),
    Bench(str(TOOL / "docs" / "examples" / "movielens_people.yaml"), date(1998, 4, 22), "ml-100k"),
)


def sampled(bench: Bench, home: Path, data: Path, attempt: str) -> Run:
    """The run of a bench, as far as there is something to learn from."""
    landing = None if bench.data is None else data / bench.data
    run = Run.create(bench.pipeline, bench.as_of, attempt, home=Home(home), data=landing)
    for name, step in sequence().items():
        if name in STEPS and not (run.step_dir(name) / "result.json").exists():
            call_step(run, name, step)
    return run


def fitted(job: Job, folder: Path) -> tuple[Cost, dict[str, Floats]]:
    """Fit a learner in a process of its own; what it leaves in the folder is removed."""
    folder.mkdir()
    job.write(folder / "job.json")
    printed, _ = run_child("bench._learner_fit", [str(folder)], folder)
    with np.load(folder / "values.npz", allow_pickle=False) as archive:
        values = {name: archive[name] for name in archive.files}
    shutil.rmtree(folder)
    return Cost.model_validate(printed), values


def rows_of(run: Run, bench: Bench, cases: Sequence[Case], k: int) -> list[Row]:
    """Fit all cases, one after the other."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="matinee-bench-") as name:
        for number, case in enumerate(cases):
            print(f"{bench.name}: {case.name}, {number + 1} of {len(cases)}", file=sys.stderr)
            job = Job(
                pipeline=bench.pipeline, as_of=bench.as_of, attempt=run.attempt, home=run.home.root, case=case, k=k
            )
            rows.append(Row(case.name, *fitted(job, Path(name) / str(number))))
    return rows


def measure(run: Run, bench: Bench, k: int, only: Sequence[str] = ()) -> str:
    """Fit every learner on a run, and lay out the section of the page."""
    held_out = HeldOut.of(run.spec, evaluated_examples(run), truth_of(run))
    users = held_out.group_rows["user_id"].to_pylist()
    blocks, metrics = user_blocks(users, INTERVAL_SEED), Metrics.of(run.spec, k)
    tables: Mapping[str, tuple[Case, ...]] = {"Rankers": rankers(run.spec), "Retrievers": retrievers(run.spec, k)}
    laid = []
    for title, cases in tables.items():
        first, *others = cases
        chosen = [first, *(case for case in others if not only or case.name in only)]
        laid.append(Table(title, rows_of(run, bench, chosen, k), blocks))
    lists = (
        f"{len(users):,} lists of {len(set(users)):,} users, cuts {min(run.windows.test)} to {max(run.windows.test)}"
    )
    return section_of(f"{run.spec.name} as of {run.as_of}", lists, metrics, laid)


def main(arguments: Sequence[str] | None = None, benches: Sequence[Bench] = BENCHES) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("MATINEE_DATA", TOOL.parent / "shared" / "data"))
    names = [bench.name for bench in benches]
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--data", type=Path, default=default, help="folder of the data sets' folders")
    parser.add_argument("--pipelines", nargs="+", choices=names, default=names)
    parser.add_argument("--learners", nargs="+", default=(), help="rows beside the first of each table; all if absent")
    parser.add_argument("--attempt", default="bench", help="attempt whose sample is used if the home has it")
    parser.add_argument("-k", type=int, default=K, help="items that retrievers find")
    parser.add_argument("--write", action="store_true", help="keep the tables in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        for bench in (bench for bench in benches if bench.name in given.pipelines):
            if bench.data is not None and not (given.data / bench.data).is_dir():
                print(f"{bench.name} is skipped: {given.data / bench.data} is absent; give its parent with --data")
                continue
            text = measure(sampled(bench, home, given.data, given.attempt), bench, given.k, given.learners)
            print(text)
            if given.write:
                sections = ["about", *names]
                keep("learners", TITLE, sections, "about", ABOUT)
                keep("learners", TITLE, sections, bench.name, text)


if __name__ == "__main__":
    main()
