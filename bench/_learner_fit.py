"""One learner of `bench.learners`, in a process of its own: fitted, measured, written, and evaluated on a run.

`python -m bench._learner_fit <folder>` reads `job.json` there; it prints what the fit cost as a JSON object, and leaves
`values.npz`: each metric's value of every held-out list.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench._child import cpu_so_far, peak_so_far
from bench._learner_cases import Case
from engine.arrays import group_of_row
from engine.candidates import union
from engine.items import Items
from engine.lists import Lists
from engine.metrics import parse_metric
from engine.retrieval import Retriever
from engine.seen import SeenRule
from tasks.evaluation.candidate_recall import Consumed, first_of_each
from tasks.evaluation.evaluate import evaluated_examples
from tasks.evaluation.held_out import HeldOut, truth_of
from tasks.examples import queries
from tasks.examples.arrays import group_offsets, matrix, texts
from tasks.examples.cut_models import Models, past_actions
from tasks.examples.graded import graded
from tasks.examples.learners.protocol import Arrays, AsOf
from tasks.examples.retrieval_log import RetrievalTally
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import load_retrievers, model_of, refit_day
from tasks.examples.seen import load_rule
from tasks.features.engines import warehouse_of
from tasks.runs.run import Run
from tasks.spec.parts import Part
from tasks.spec.populations import EVERYBODY_ELSE
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.store.records import Record
from tasks.training.learners.protocol import TrainedRanker
from tasks.training.models import save_model
from tasks.training.rankers import train_ranker
from tasks.training.train import read_examples

Floats = npt.NDArray[np.float64]
WARM_LISTS, WARM_ROWS = 100, 2_000
"""What is fitted first, so that imports and compiling are not measured."""


class Job(Record):
    """What a process is to do: a learner, on what a run has left."""

    pipeline: str
    as_of: date
    attempt: str
    home: Path
    case: Case
    k: int

    @property
    def run(self) -> Run:
        return Run.create(self.pipeline, self.as_of, self.attempt, home=Home(self.home))


class Cost(Record):
    """CPU seconds of a fit, the peak of its process at its end, and the size of what a version would have of it."""

    cpu: float
    peak: float
    bytes: int


@dataclass(frozen=True)
class Metrics:
    """What is measured.

    Attributes:
        order: of the order of lists: that of the first gate.
        found: of a retriever, the share of what was consumed that is among its first k items.
    """

    order: str
    found: str

    @classmethod
    def of(cls, spec: Spec, k: int) -> Metrics:
        return cls(spec.gates[0].metric, f"recall@{k}")


def measured(fit: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a function returns, its CPU seconds, and the peak of the process by then."""
    before = cpu_so_far()
    made = fit()
    return made, cpu_so_far() - before, peak_so_far()


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fit_ranker(job: Job, folder: Path) -> tuple[Cost, dict[str, Floats]]:
    """Train on the run's training examples, of everybody, and rank the lists of its test window."""
    run, settings = job.run, job.case.ranker
    spec, files = run.spec, [run.file("sample", f"{name}.parquet") for name in ("train", "validation")]
    examples = read_examples(files, spec, EVERYBODY_ELSE, [])
    few = examples.slice(0, int(group_offsets(examples)[:WARM_LISTS][-1]))
    assert settings is not None
    train_ranker(few, spec, settings)
    model, cpu, peak = measured(lambda: train_ranker(examples, spec, settings))
    save_model(model, folder / "model")
    return Cost(cpu=cpu, peak=peak, bytes=size_of(folder / "model")), ranked(run, model, Metrics.of(spec, job.k))


def ranked(run: Run, model: TrainedRanker, metrics: Metrics) -> dict[str, Floats]:
    held_out = HeldOut.of(run.spec, evaluated_examples(run), truth_of(run))
    scores = model.scorer().predict(matrix(held_out.table, run.spec.features))
    return {metrics.order: parse_metric(metrics.order)(held_out.lists(scores))}


def made(parts: Sequence[Part], now: AsOf, pasts: Sequence[Past]) -> list[Arrays]:
    """Fit retrievers on what was known by their refit days, and make what their files hold as of a cut."""
    arrays = []
    for part, past in zip(parts, pasts, strict=True):
        model: Any = model_of(part)  # type: ignore[arg-type]
        fitted = None if model.fit is None else model.fit(past, part)
        if model.arrays is not None:
            arrays.append(model.arrays(part, now, fitted))
    return arrays


def fit_retriever(job: Job, folder: Path) -> tuple[Cost, dict[str, Floats]]:
    """Fit as of the last test cut, then as of all, and let the retriever list and order what the run holds out."""
    run = job.run
    spec, parts = run.spec.model_copy(update={"retrieval": job.case.retrieval}), job.case.retrieval
    last = max(run.windows.test)
    with warehouse_of(run.home, spec.name).open() as tables:
        models = Models(tables, spec, RetrievalTally(spec))
        now = models.as_of(last)
        pasts = [past_actions(tables, spec, refit_day(last, spec.start, getattr(part, "refit", 1))) for part in parts]
        few = Past.of(tables.arrow(queries.past_actions(spec, last)).slice(0, WARM_ROWS))
        made(parts, replace(now, past=few), [few] * len(parts))
        _, cpu, peak = measured(lambda: made(parts, now, pasts))
        for cut in sorted(set(run.windows.test)):
            (folder / str(cut)).mkdir()
            models.write(cut, folder / str(cut))
    size = sum((folder / str(last) / name).stat().st_size for part in parts for name in part.files)
    return Cost(cpu=cpu, peak=peak, bytes=size), retrieved(run, spec, folder, Metrics.of(spec, job.k))


def retrieved(run: Run, spec: Spec, folder: Path, metrics: Metrics) -> dict[str, Floats]:
    """Measure a retriever: what its first k hold, and their order; of impressions the order of what was shown."""
    truth = truth_of(run)
    held_out = HeldOut.of(run.spec, evaluated_examples(run), truth)
    consumed, of_row = Consumed.of(held_out, truth), group_of_row(held_out.offsets)
    found, order = np.full((2, held_out.group_rows.num_rows), np.nan)
    scores = np.full(held_out.table.num_rows, -np.inf)
    cuts = np.asarray(held_out.group_rows["cut"].to_pylist())
    for cut in sorted(set(cuts.tolist())):
        groups = np.flatnonzero(cuts == cut)
        rows = np.flatnonzero(np.isin(of_row, groups))
        retriever = OfCut.load(spec, folder / str(cut))
        lists = retriever.lists(texts(held_out.group_rows["user_id"])[groups], consumed.only(groups))
        found[groups] = parse_metric(metrics.found)(lists)
        order[groups] = parse_metric(metrics.order)(lists)
        scores[rows] = retriever.scores(held_out.table.take(rows))
    if spec.examples.kind == "impressions":
        order = parse_metric(metrics.order)(held_out.lists(scores))
    return {metrics.found: found, metrics.order: order}


@dataclass(frozen=True, eq=False)
class OfCut:
    """The retriever as of a cut, as a version has it."""

    retriever: Retriever
    k: int
    items: Items
    seen: SeenRule | None

    @classmethod
    def load(cls, spec: Spec, folder: Path) -> OfCut:
        """Read it, and the rule for seen items."""
        items, retrievers = load_retrievers(spec, folder)
        return cls(*retrievers[-1], items, load_rule(spec, folder, items))

    def lists(self, users: npt.NDArray[np.str_], consumed: Consumed) -> Lists:
        """The first k items for each user; users may come more than once."""
        names, owner = np.unique(users, return_inverse=True)
        found = union([(self.retriever, self.k)], names, self.seen)
        return graded(first_of_each(found, owner, self.k), self.items.ids, consumed)

    def scores(self, table: pa.Table) -> npt.NDArray[np.float32]:
        """The scores of examples; the least of all where there is none."""
        names, owner = np.unique(texts(table["user_id"]), return_inverse=True)
        items = self.items.ids.numbers(texts(table["item_id"]))
        scores = self.retriever.score(names, owner, items)
        return np.where(np.isnan(scores), np.float32(-np.inf), scores)


def main() -> None:
    folder = Path(sys.argv[1])
    job = Job.read(folder / "job.json")
    cost, values = (fit_retriever if job.case.ranker is None else fit_ranker)(job, folder)
    np.savez(folder / "values.npz", **values)  # type: ignore[arg-type]
    print(json.dumps(cost.to_json()))


if __name__ == "__main__":
    main()
