"""Train LightGBM for each population on the sample: once to be judged, once to be published.

The judged model learns from the train and validation windows. With `publish.refit` the same settings then learn
from all complete examples, and that model is published. Examples go from parquet through Arrow into LightGBM; no
pandas copy is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples.arrays import UNKNOWN, group_ends
from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.spec.spec import Spec
from tasks.store.files import write_json
from tasks.training.lightgbm import fit, save

if TYPE_CHECKING:
    import lightgbm
    import pyarrow as pa

    from tasks.runs.run import Run


def populations(run: Run) -> list[str]:
    """Return the populations with a model of their own, in order of name, and `*` for everybody else."""
    counts: dict[str, int] = run.result("sample")["populations"]
    if run.spec.populations is None:
        return [EVERYBODY_ELSE]
    least = run.spec.populations.min_groups
    # Somebody whose attribute is not known is served by everybody else's model, and so is judged by it.
    own = [n for n, groups in sorted(counts.items()) if groups >= least and n not in {EVERYBODY_ELSE, UNKNOWN}]
    return [*own, EVERYBODY_ELSE]


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


def train_step(run: Run, population: str) -> dict[str, Any]:
    """Choose settings, train the judged model and the one to publish; write both and what was learnt.

    Raises:
        TrainingError: the population has nothing to learn from.
    """
    from tasks.training.tune import choose

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
