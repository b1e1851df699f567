"""Judge the model on the test window beside its baselines: one flat list of records.

Every contender ranks the same groups (`tasks.evaluation.held_out`), and so does every single feature
(`tasks.evaluation.leakage`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.evaluation.champion import CHAMPION, Champion, champion_of, has_champion_gate
from tasks.evaluation.held_out import HeldOut, baseline_rows
from tasks.evaluation.leakage import suspicion_of
from tasks.examples.arrays import matrix
from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.spec.spec import Spec
from tasks.store.files import json_number, write_json
from tasks.training.train import populations

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tasks.runs.run import Run

    Rows = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_] | None]
    """A rival's score of every example, and which of them are in its lists (all of them if None)."""

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


def rank_groups(run: Run, held_out: HeldOut, champion: Champion | None = None) -> Groups:
    """Measure the model, every baseline and the champion on every group.

    The champion's value of a group that it may have been trained on is undefined.
    """
    import numpy as np

    from engine.metrics import parse_metric

    table, heads = held_out.table, held_out.heads
    rivals: dict[str, Rows] = {MODEL: (model_scores(run, table), None)}
    rivals |= {name: baseline_rows(table, name) for name in run.spec.evaluate.baselines}
    if run.spec.publish.refit:
        rivals[REFIT] = (model_scores(run, table, "published.txt"), None)
    if champion is not None and champion.scores is not None:
        rivals[CHAMPION] = (champion.scores, None)
    values = {}
    for rival, (scores, listed) in rivals.items():
        lists = held_out.lists(scores, listed)
        for name in run.spec.evaluate.metrics:
            values[name, rival] = parse_metric(name)(lists)
            if rival == CHAMPION and champion is not None:
                new = np.asarray([cut >= champion.since for cut in heads["cut"].to_pylist()])
                values[name, rival] = np.where(new, values[name, rival], np.nan)
    return Groups(
        users=heads["user_id"].to_pylist(),
        attributes={name: heads[name].to_pylist() for name in run.spec.evaluate.slices},
        population=list(populations_of(run, heads)),
        values=values,
    )


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
                    "value": json_number(span.value, 12),
                    "low": json_number(span.low, 12),
                    "high": json_number(span.high, 12),
                    "groups": span.groups,
                    "definition": parse_metric(metric).definition,
                }
            )
    return found


def overall(found: Sequence[Record], metric: str, rival: str) -> Record | None:
    """Return the record of a rival over all groups."""
    return next(
        (r for r in found if (r["metric"], r["of"], r["population"], r["slice"]) == (metric, rival, "*", None)),
        None,
    )


def evaluate_step(run: Run) -> dict[str, Any]:
    """Write `records.json`, the per-group values that gates compare in pairs, and the power of each feature alone.

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
    champion = champion_of(run, table) if has_champion_gate(run.spec) else None
    held_out = HeldOut.of(run.spec, table, truth)
    groups = rank_groups(run, held_out, champion)
    found = records(run.spec, groups)
    primary = run.spec.gates[0].metric
    rivals = {name: groups.values[primary, name] for name in run.spec.evaluate.baselines}
    power = suspicion_of(run.spec, held_out, rivals)
    suspicious = [row["feature"] for row in power["features"] if row["suspicious"]]
    result: dict[str, Any] = {"groups": len(groups.users), "metrics": {}, "suspicious": suspicious}
    if champion is not None:
        result["champion"] = champion.result()
    for metric in run.spec.evaluate.metrics:
        rows = {rival: overall(found, metric, rival) for rival in (MODEL, *run.spec.evaluate.baselines, CHAMPION)}
        result["metrics"][metric] = {rival: row["value"] for rival, row in rows.items() if row}
    with run.step("evaluate", result) as folder:
        write_json(folder / "records.json", found)
        write_json(folder / "suspicion.json", power)
        columns = {f"{metric} of {rival}": values for (metric, rival), values in groups.values.items()}
        pq.write_table(pa.table({"user_id": groups.users, **columns}), folder / "groups.parquet")
    return result
