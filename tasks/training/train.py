"""Train LightGBM for each population on the sample: once to be judged, once to be published.

The judged model learns from the train and validation windows. With `publish.refit` the same settings then learn
from all complete examples, and that model is published. Examples go from parquet through Arrow into LightGBM; no
pandas copy is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.errors import TrainingError
from tasks.examples.arrays import UNKNOWN, group_ends
from tasks.examples.sample import SampleResult
from tasks.spec.parts import LightGBM
from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.spec.spec import Spec
from tasks.store.files import write_json
from tasks.store.records import Record
from tasks.training.rankers import train_ranker

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.runs.run import Run


class TrainResult(Record):
    """What the step `train` made for a population.

    Attributes:
        population: which one.
        examples: rows that the evaluated model was trained on.
        groups: lists that they form.
        settings: of the ranker, chosen by tuning if there was any.
        trials: settings that were tried.
        importance: gain of each feature, summed over the splits of the evaluated model.
        splits: how often each feature is split on; empty for a ranker without splits.
    """

    population: str
    examples: int
    groups: int
    settings: LightGBM
    trials: int
    importance: dict[str, float]
    splits: dict[str, int] = Field(default_factory=dict)


def populations(run: Run) -> list[str]:
    """The populations with a model of their own, in order of name, and `*` for everybody else."""
    counts = run.read("sample", SampleResult).populations
    if run.spec.populations is None:
        return [EVERYBODY_ELSE]
    least = run.spec.populations.min_groups
    # Somebody whose attribute is not known is served by everybody else's model, and so is judged by it.
    named = [n for n, groups in sorted(counts.items()) if groups >= least and n not in {EVERYBODY_ELSE, UNKNOWN}]
    return [*named, EVERYBODY_ELSE]


def read_examples(paths: list[Path], spec: Spec, population: str, named: list[str]) -> pa.Table:
    """Read the examples of one population, in the order in which they were written.

    `*` is everybody who is in none of the named populations; when that is nobody, it is everybody.
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
    others = table.filter(pc.invert(pc.is_in(column, pa.array(named, pa.string()))))
    return others if others.num_rows else table


def train_step(run: Run, population: str) -> TrainResult:
    """Choose settings, train the judged model and the one to publish; write both and what was learnt.

    Raises:
        TrainingError: the population has nothing to learn from.
    """
    from tasks.training.curve import CURVE_FILE, training_curve
    from tasks.training.tune import choose

    folder, named = run.step_dir("sample"), [name for name in populations(run) if name != EVERYBODY_ELSE]

    def read(*names: str) -> pa.Table:
        paths = [folder / f"{name}.parquet" for name in names]
        return read_examples(paths, run.spec, population, named)

    with run.write(f"train/{slug(population)}") as target:
        try:
            chosen, trials = choose(run.spec, read)
            # The validation window has chosen the settings; only the test window is still unseen.
            examples = read("train", "validation")
            judged = train_ranker(examples, run.spec, chosen)
            published = train_ranker(read("refit"), run.spec, chosen) if run.spec.publish.refit else judged
            curve = training_curve(run.spec, chosen, read)
        except TrainingError as error:
            raise TrainingError(f"{run.spec.name} {run.as_of}, population {population!r}: {error}") from None
        judged.save(target.path / "judged.txt")
        published.save(target.path / "published.txt")
        curve.write(target.path / CURVE_FILE)
        write_json(target.path / "trials.json", [trial.to_json() for trial in trials])
        target.result = result = TrainResult(
            population=population,
            examples=examples.num_rows,
            groups=len(group_ends(examples)),
            settings=chosen,
            trials=len(trials),
            importance=judged.importance(),
            splits=judged.splits(),
        )
    return result
