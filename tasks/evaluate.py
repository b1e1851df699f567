"""Judge the model on the test window beside its baselines: one flat list of records.

Every rival ranks the same groups. For impressions a list is what was shown; for snapshots it is what was retrieved,
and relevant items that were not retrieved count as misses. Equal scores are put in the order of item ids, never in
the order in which they were shown, which would lend a rival the logging policy's knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.champion import CHAMPION, Champion, asked_for, champion_of
from tasks.errors import TrainingError
from tasks.examples import group_offsets, matrix
from tasks.home import write_json
from tasks.spec import Spec
from tasks.train import EVERYBODY_ELSE, populations, slug

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tasks.run import Run

MODEL = "model"
REFIT = "refit"
"""The model to publish. It has learnt from the test window, so its values are compared, not reported."""
INTERVAL_SEED = 0

Record = dict[str, Any]


@dataclass(frozen=True)
class Groups:
    """The test groups of a run, in one order: users, attributes and every rival's value of every metric."""

    users: list[str]
    attributes: dict[str, list[str]]
    population: list[str]
    values: dict[tuple[str, str], npt.NDArray[np.float64]]
    """By (metric, rival): one value a group, NaN where undefined."""


def model_scores(run: Run, table: pa.Table, file: str = "judged.txt") -> npt.NDArray[np.float64]:
    """Score examples with each population's trees: the same code that serves."""
    import numpy as np

    from engine.trees import Trees

    features, chosen = matrix(table, run.spec.features), populations_of(run, table)
    scores = np.zeros(table.num_rows)
    for population in populations(run):
        mask = chosen == population
        trees = Trees.load(run.step_dir(f"train/{slug(population)}") / file)
        scores[mask] = trees.predict(features[mask])
    return scores


def populations_of(run: Run, table: pa.Table) -> npt.NDArray[np.object_]:
    """Return the population whose model serves each row."""
    import numpy as np

    if run.spec.populations is None:
        return np.full(table.num_rows, EVERYBODY_ELSE, dtype=object)
    column = table[run.spec.populations.by].to_numpy(zero_copy_only=False)
    return np.where(np.isin(column, populations(run)), column, EVERYBODY_ELSE)


def baseline_rows(table: pa.Table, rival: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return a baseline's score of every row, and which rows are in its list.

    `policy` is the logged order. Others are retrieval types; `history` lists the user's own items only.
    """
    import numpy as np

    if rival == "policy":
        return -table["position"].to_numpy().astype(np.float64), np.ones(table.num_rows, dtype=bool)
    scores = table[f"{rival}_score"].to_numpy().astype(np.float64)
    return scores, scores > 0 if rival == "history" else np.ones(table.num_rows, dtype=bool)


def rank_groups(run: Run, table: pa.Table, truth: pa.Table | None, champion: Champion | None = None) -> Groups:
    """Measure the model, every baseline and the champion on every group.

    Groups of which nothing was retrieved come last. The champion's value of a group that it may have been trained on
    is undefined.
    """
    import numpy as np

    from engine.lists import Lists
    from engine.metrics import parse_metric

    first = _heads(run.spec, table, truth)
    offsets = group_offsets(table)
    offsets = np.pad(offsets, (0, first.num_rows + 1 - len(offsets)), mode="edge")
    grades = table["grade"].to_numpy()
    relevant = None if truth is None else _relevant(first["group_id"].to_pylist(), truth)
    everything = np.ones(table.num_rows, dtype=bool)
    rivals = {MODEL: (model_scores(run, table), everything)}
    rivals |= {name: baseline_rows(table, name) for name in run.spec.evaluate.baselines}
    if run.spec.publish.refit:
        rivals[REFIT] = (model_scores(run, table, "published.txt"), everything)
    if champion is not None and champion.scores is not None:
        rivals[CHAMPION] = (champion.scores, everything)
    values = {}
    for rival, (scores, listed) in rivals.items():
        if truth is None:
            lists = Lists.of(scores, grades, offsets)
        else:
            kept = np.concatenate([[0], np.cumsum(listed)])[offsets]
            lists = Lists.of(scores[listed], grades[listed], kept, relevant=relevant)
        for name in run.spec.evaluate.metrics:
            values[name, rival] = parse_metric(name)(lists)
            if rival == CHAMPION and champion is not None:
                new = np.asarray([cut >= champion.since for cut in first["cut"].to_pylist()])
                values[name, rival] = np.where(new, values[name, rival], np.nan)
    return Groups(
        users=first["user_id"].to_pylist(),
        attributes={name: first[name].to_pylist() for name in run.spec.evaluate.slices},
        population=list(populations_of(run, first)),
        values=values,
    )


def _heads(spec: Spec, table: pa.Table, truth: pa.Table | None) -> pa.Table:
    """Return what each group is of: the groups of the examples, then those that have only relevant items."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from tasks.sample import attribute_columns

    names = ["group_id", "user_id", "cut", *attribute_columns(spec)]
    first = table.take(group_offsets(table)[:-1]).select(names)
    if truth is None:
        return first
    lost = truth.filter(pc.invert(pc.is_in(truth["group_id"], first["group_id"])))
    return pa.concat_tables([first, lost.take(group_offsets(lost)[:-1]).select(names)], promote_options="permissive")


def _relevant(groups: list[str], truth: pa.Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all relevant grades of each group, and the offsets of the groups in them."""
    import numpy as np

    found: dict[str, list[int]] = {group: [] for group in groups}
    for group, grade in zip(truth["group_id"].to_pylist(), truth["grade"].to_pylist(), strict=True):
        found[group].append(int(grade))
    offsets = np.concatenate([[0], np.cumsum([len(found[group]) for group in groups])]).astype(np.int64)
    return np.asarray([grade for group in groups for grade in found[group]], dtype=np.int64), offsets


def parts(spec: Spec, groups: Groups) -> Iterator[tuple[str, str | None, npt.NDArray[np.bool_]]]:
    """Yield (population, slice, which groups): all of them, each population, and each value of each slice."""
    import numpy as np

    yield "*", None, np.ones(len(groups.users), dtype=bool)
    if spec.populations is not None:
        of = np.asarray(groups.population, dtype=object)
        for name in sorted(set(groups.population) - {EVERYBODY_ELSE}):
            yield name, None, of == name
    for attribute, column in groups.attributes.items():
        for value in sorted(set(column)):
            yield "*", f"{attribute}={value}", np.asarray(column, dtype=object) == value


def records(spec: Spec, groups: Groups) -> list[Record]:
    """Return the flat list of figures (docs/descriptor.md, `evaluation.records`)."""
    import numpy as np

    from engine.intervals import interval, user_blocks
    from engine.metrics import parse_metric

    blocks = user_blocks(groups.users, INTERVAL_SEED)
    found = []
    for population, piece, mask in parts(spec, groups):
        for (metric, rival), values in groups.values.items():
            if rival == REFIT:
                continue
            span = interval(np.where(mask, values, np.nan), blocks, INTERVAL_SEED)
            found.append(
                {
                    "metric": metric,
                    "of": rival,
                    "population": population,
                    "slice": piece,
                    "value": _plain(span.value),
                    "low": _plain(span.low),
                    "high": _plain(span.high),
                    "groups": span.groups,
                    "definition": parse_metric(metric).definition,
                }
            )
    return found


def _plain(value: float) -> float | None:
    return None if value != value else round(float(value), 12)


def overall(found: Sequence[Record], metric: str, rival: str) -> Record | None:
    """Return the record of a rival over all groups."""
    return next(
        (r for r in found if (r["metric"], r["of"], r["population"], r["slice"]) == (metric, rival, "*", None)),
        None,
    )


def evaluate_step(run: Run) -> dict[str, Any]:
    """Write `records.json` and the per-group values that gates compare in pairs.

    Raises:
        TrainingError: the test window has no group with something to find.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sample = run.step_dir("sample")
    table = pq.read_table(sample / "test.parquet")
    cuts = run.windows.test
    if not table.num_rows:
        raise TrainingError(
            f"{run.spec.name} {run.as_of}: no group of the test cuts {cuts[0]} to {cuts[-1]} has a positive label, "
            "so nothing can be judged; look at `label` and `examples.test`"
        )
    truth = None
    if run.spec.examples.kind == "snapshots":
        truth = pq.read_table(sample / "truth.parquet")
        wanted = pa.array(sorted(set(cuts)), pa.date32())
        truth = truth.filter(pa.compute.is_in(truth["cut"], wanted))
    champion = champion_of(run, table) if asked_for(run.spec) else None
    groups = rank_groups(run, table, truth, champion)
    found = records(run.spec, groups)
    result: dict[str, Any] = {"groups": len(groups.users), "metrics": {}}
    if champion is not None:
        result["champion"] = champion.result()
    for metric in run.spec.evaluate.metrics:
        rows = {rival: overall(found, metric, rival) for rival in (MODEL, *run.spec.evaluate.baselines, CHAMPION)}
        result["metrics"][metric] = {rival: row["value"] for rival, row in rows.items() if row}
    with run.step("evaluate", result) as folder:
        write_json(folder / "records.json", found)
        columns = {f"{metric} of {rival}": values for (metric, rival), values in groups.values.items()}
        pq.write_table(pa.table({"user_id": groups.users, **columns}), folder / "groups.parquet")
    return result
