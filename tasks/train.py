"""Train LightGBM for each population on the sample: once to be judged, once to be published.

The judged model learns from the train and validation windows. With `publish.refit` the same settings then learn
from all complete examples, and that model is published. Examples go from parquet through Arrow into LightGBM; no
pandas copy is made.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples import UNKNOWN, group_ends, group_offsets
from tasks.home import digest, write_json
from tasks.spec import Spec
from tasks.spec_parts import LightGBM

if TYPE_CHECKING:
    import lightgbm
    import pyarrow as pa

    from tasks.run import Run

EVERYBODY_ELSE = "*"


def slug(population: str) -> str:
    """Return a population's name as a folder name; names that differ stay different."""
    if population == EVERYBODY_ELSE:
        return "everybody-else"
    if re.fullmatch("[A-Za-z0-9][A-Za-z0-9-]{0,39}", population) and population != "everybody-else":
        return population
    plain = re.sub("[^A-Za-z0-9]+", "-", population).strip("-")[:40] or "population"
    return f"{plain}_{digest(population)[:8]}"


def populations(run: Run) -> list[str]:
    """Return the populations with a model of their own, in order of name, and `*` for everybody else."""
    counts: dict[str, int] = run.result("sample")["populations"]
    if run.spec.populations is None:
        return [EVERYBODY_ELSE]
    least = run.spec.populations.min_groups
    # Somebody whose attribute is not known is served by everybody else's model, and so is judged by it.
    own = [n for n, groups in sorted(counts.items()) if groups >= least and n not in {EVERYBODY_ELSE, UNKNOWN}]
    return [*own, EVERYBODY_ELSE]


def parameters(ranker: LightGBM) -> dict[str, Any]:
    """Return LightGBM's parameters; equal inputs give equal trees for any number of threads."""
    return {
        "objective": ranker.objective,
        "learning_rate": ranker.learning_rate,
        "num_leaves": ranker.num_leaves,
        "min_data_in_leaf": ranker.min_data_in_leaf,
        "lambda_l2": ranker.lambda_l2,
        "feature_fraction": ranker.feature_fraction,
        "bagging_fraction": ranker.bagging_fraction,
        "bagging_freq": int(ranker.bagging_fraction < 1.0),
        "max_bin": ranker.max_bin,
        "lambdarank_truncation_level": ranker.truncation,
        "seed": ranker.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": int(os.environ.get("MATINEE_THREADS", "2")),
        "verbosity": -1,
    }


def read_examples(paths: list[Path], spec: Spec, population: str, own: list[str]) -> pa.Table:
    """Read the examples of one population, in the order in which they were written.

    `*` is everybody who is in no population of `own`; when that is nobody, it is everybody.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pa.concat_tables([pq.read_table(path) for path in paths])
    if spec.populations is None:
        return table
    column = table[spec.populations.by]
    if population != EVERYBODY_ELSE:
        return table.filter(pc.equal(column, population))
    others = table.filter(pc.invert(pc.is_in(column, pa.array(own, pa.string()))))
    return others if others.num_rows else table


def fit(table: pa.Table, spec: Spec, ranker: LightGBM) -> lightgbm.Booster:
    """Train one model.

    Args:
        table: examples, rows of a group together; features as float columns.
        spec: names the features.
        ranker: the settings.

    Raises:
        TrainingError: there is no row, all labels are the same, or LightGBM refuses (a group over 10,000 rows, say).
    """
    import lightgbm
    import numpy as np
    import pyarrow.compute as pc

    grades = pc.min_max(table["grade"]).as_py() if table.num_rows else {"min": 0, "max": 0}
    if grades["min"] == grades["max"]:
        raise TrainingError(
            f"single-class label: all {table.num_rows} examples have the grade {grades['max']}, expected at least two "
            "different grades. Look at `label.grades` and the length of `examples.train`"
        )
    sizes = np.diff(group_offsets(table))
    positions = None
    if ranker.position_bias == "lightgbm":
        positions = table["position"].to_numpy()
    label = table["grade"].to_numpy()
    data = lightgbm.Dataset(
        table.select(list(spec.features)).combine_chunks(),
        label=(label > 0).astype(np.float32) if ranker.objective == "binary" else label,
        weight=table["weight"].to_numpy(),
        group=sizes,
        position=positions,
        feature_name=list(spec.features),
        params=parameters(ranker),
    )
    try:
        return lightgbm.train(parameters(ranker), data, num_boost_round=ranker.rounds)
    except lightgbm.basic.LightGBMError as error:
        raise TrainingError(f"LightGBM refuses these examples or settings: {error}") from None


def save(booster: lightgbm.Booster, path: Path) -> None:
    """Write a model as text without what differs between machines: the number of threads."""
    text = booster.model_to_string(num_iteration=-1)
    path.write_text(re.sub(r"(?m)^\[num_threads: \d+\]\n", "", text), encoding="utf-8")


def train_step(run: Run, population: str) -> dict[str, Any]:
    """Choose settings, train the judged model and the one to publish; write both and what was learnt.

    Raises:
        TrainingError: the population has nothing to learn from.
    """
    from tasks.tune import choose

    folder, own = run.step_dir("sample"), [name for name in populations(run) if name != EVERYBODY_ELSE]

    def read(*names: str) -> pa.Table:
        paths = [folder / f"{name}.parquet" for name in names]
        return read_examples(paths, run.spec, population, own)

    result: dict[str, Any] = {"population": population}
    with run.step(f"train/{slug(population)}", result) as target:
        try:
            chosen, trials = choose(run.spec, read)
            examples = read("train", "validation")
            judged = fit(examples, run.spec, chosen)
            published = fit(read("refit"), run.spec, chosen) if run.spec.publish.refit else judged
        except TrainingError as error:
            raise TrainingError(f"{run.spec.name} {run.as_of}, population {population!r}: {error}") from None
        save(judged, target / "judged.txt")
        save(published, target / "published.txt")
        write_json(target / "trials.json", trials)
        result |= {
            "examples": examples.num_rows,
            "groups": len(group_ends(examples)),
            "settings": chosen.model_dump(mode="json"),
            "trials": len(trials),
            "importance": _importance(judged),
        }
    return result


def _importance(booster: lightgbm.Booster) -> dict[str, float]:
    gains = booster.feature_importance("gain")
    return {name: round(float(gain), 4) for name, gain in zip(booster.feature_name(), gains, strict=True)}
