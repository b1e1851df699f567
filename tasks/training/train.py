"""Train the ranker of each population on the sample: once to be judged, once to be published.

The judged model learns from the train and validation windows. With `publish.refit` the same settings then learn
from all complete examples, and that model is published. Examples go from parquet through Arrow into the learner; no
pandas copy is made.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.errors import TrainingError
from tasks.examples.arrays import UNKNOWN, group_ends
from tasks.examples.sample import SampleResult
from tasks.runs.narration import counting, say, warn
from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.spec.rankers import LightGBM, Ranker
from tasks.spec.spec import Spec
from tasks.store.records import Record
from tasks.training.bias.found import position_bias_of
from tasks.training.bias.results import PositionBiasResult
from tasks.training.learners.protocol import Rounds, TrainedRanker
from tasks.training.models import JUDGED, PUBLISHED, save_model
from tasks.training.negatives import trained_rows
from tasks.training.noise import noise_name, noise_trainings, trained_again
from tasks.training.rankers import settle, train_ranker
from tasks.training.reproducible import Reproduced, check_reproducible
from tasks.training.validation_lists import VALUES_FILE, may_fall_back, undecided, validation_values

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.runs.run import Run
    from tasks.tuning.choice import Tuning


STRONGEST = 3  # features that the log names


class TrainResult(Record):
    """What the step `train` made for a population.

    Attributes:
        population: which one.
        examples: rows that the evaluated model was trained on.
        groups: lists that they form.
        settings: of the ranker, chosen by tuning if there was any, with the rounds reached: with these in the pipeline
            file, equal examples give the same model.
        trials: settings that were tried.
        importance: how much each feature contributes to the evaluated model, such as the gain over its splits.
        splits: how often each feature is split on; empty for a ranker without splits.
        rounds: how the number of rounds came about, if the validation window or a clock chose it.
        reproduced: what was trained twice, to the same bytes.
        position_bias: how the evaluated model was corrected for where items were shown.
    """

    population: str
    examples: int
    groups: int
    settings: Ranker
    trials: int
    importance: dict[str, float]
    splits: dict[str, int] = Field(default_factory=dict)
    rounds: Rounds | None = Field(default=None, exclude_if=lambda rounds: rounds is None)
    reproduced: Reproduced | None = None
    position_bias: PositionBiasResult | None = Field(default=None, exclude_if=lambda result: result is None)

    def summary(self) -> str:
        """What was learned from, and which features mattered most."""
        gain = sum(self.importance.values()) or 1.0
        strongest = sorted(self.importance, key=lambda name: (-self.importance[name], name))[:STRONGEST]
        shares = ", ".join(f"{name} {100 * self.importance[name] / gain:.0f} %" for name in strongest)
        what = "gain" if isinstance(self.settings, LightGBM) else "importance"
        bias = "" if self.position_bias is None else f"; position bias: {self.position_bias.text}"
        return f"{self.examples:,} examples in {self.groups:,} groups; most of the {what}: {shares}{bias}"


def populations(run: Run) -> list[str]:
    """The populations that get a model of their own, in order of name, and `*` for everybody else.

    Whether they keep it is decided once all are trained (`tasks.training.own_models`).
    """
    counts = run.read("sample", SampleResult).populations
    if run.spec.populations is None:
        return [EVERYBODY_ELSE]
    least = run.spec.populations.min_groups
    # Somebody whose attribute is not known is served by everybody else's model, and so is judged by it.
    named = [n for n, groups in sorted(counts.items()) if groups >= least and n not in {EVERYBODY_ELSE, UNKNOWN}]
    return [*named, EVERYBODY_ELSE]


def small_populations(spec: Spec, sample: SampleResult) -> dict[str, int]:
    """The drawn groups of each population that has too few of them for a model of its own, in order of name."""
    if spec.populations is None:
        return {}
    least, served_by_all = spec.populations.min_groups, {EVERYBODY_ELSE, UNKNOWN}
    counts = sorted(sample.populations.items())
    return {name: groups for name, groups in counts if groups < least and name not in served_by_all}


def populations_step(run: Run) -> list[str]:
    """List the populations, and say which have too few groups for a model of their own."""
    chosen, split = populations(run), run.spec.populations
    if split is not None:
        for name, groups in small_populations(run.spec, run.read("sample", SampleResult)).items():
            warn(
                "{by} {population}: {groups:,} drawn groups are fewer than {least:,} (`populations.min_groups`); the "
                "model of everybody else ranks for it",
                by=split.by, population=name, groups=groups, least=split.min_groups,
            )  # fmt: skip
        if why := undecided(run.spec):
            say("{_why}", _why=why)
        say("a model for each of {count:,} populations: {names}", count=len(chosen), names=chosen)
    return chosen


def read_examples(paths: list[Path], spec: Spec, population: str, named: list[str]) -> pa.Table:
    """Read the examples of one population, in the order in which they were written.

    `*` is everybody who is in none of the named populations; when that is nobody, or none is named, it is everybody.
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


def read_windows(run: Run, population: str, *names: str) -> pa.Table:
    """Read the examples that the model of one population learns from, of the windows of some names.

    `*` learns from everybody where others may fall back on it.
    """
    split = [] if may_fall_back(run.spec) else populations(run)
    paths = [run.file("sample", f"{name}.parquet") for name in names]
    return read_examples(paths, run.spec, population, [name for name in split if name != EVERYBODY_ELSE])


def train_step(run: Run, population: str) -> TrainResult:
    """Choose settings, train the judged model and the one to publish; write both and what was learnt.

    Raises:
        TrainingError: the population has nothing to learn from.
    """
    import pyarrow.parquet as pq

    from tasks.training.curve import CURVE_FILE, training_curve
    from tasks.training.learners.onnx import require_unseen
    from tasks.training.ranker_trials import TUNING_FILE

    def read(*names: str) -> pa.Table:
        return read_windows(run, population, *names)

    with run.write(f"train/{slug(population)}") as target:
        try:
            ranker, tuning = _tuned(run, population)
            settled = settle(run.spec, ranker, read)
            chosen = settled.settings
            require_unseen(chosen, run.windows.test[0])
            # The validation window has chosen the settings; only the test window is still unseen.
            judging = read("train", "validation")
            examples = trained_rows(judging, chosen)
            _say_examples(run.spec, population, examples)
            reproduced = check_reproducible(judging, run.spec, chosen)
            judged = _train("the model to evaluate", judging, run.spec, chosen)
            published = (
                _train("the model to publish", read("refit"), run.spec, chosen) if run.spec.publish.refit else judged
            )
            bias = position_bias_of(judged, judging, run.spec, chosen)
            curve = training_curve(run.spec, chosen, read)
            _train_again(target.path, judging, run.spec, chosen)
            if may_fall_back(run.spec):
                pq.write_table(validation_values(run, chosen, read), target.path / VALUES_FILE)
        except TrainingError as error:
            raise TrainingError(f"{run.spec.name} {run.as_of}, population {population!r}: {error}") from None
        save_model(judged, target.path / JUDGED)
        save_model(published, target.path / PUBLISHED)
        curve.write(target.path / CURVE_FILE)
        if tuning is not None:
            tuning.write(target.path / TUNING_FILE)
        target.result = result = TrainResult(
            population=population,
            examples=examples.num_rows,
            groups=len(group_ends(examples)),
            settings=chosen,
            trials=0 if tuning is None else len(tuning.trials),
            importance=judged.importance(),
            splits=judged.splits(),
            rounds=settled.rounds,
            reproduced=reproduced,
            position_bias=bias,
        )
    return result


def _tuned(run: Run, population: str) -> tuple[Ranker, Tuning | None]:
    """The settings of a population, chosen on the examples of the day on which they are."""
    from tasks.training.ranker_trials import tuned, tuning_sample

    source = tuning_sample(run)
    # One that had too few groups then has no search of its own.
    name = population if population in populations(source) else EVERYBODY_ELSE
    return tuned(source, name, partial(read_windows, source, name))


def _train(which: str, examples: pa.Table, spec: Spec, settings: Ranker) -> TrainedRanker:
    """Train one model, and say how long that took."""
    began = time.monotonic()
    with counting(which, None):
        model = train_ranker(examples, spec, settings)
    say(
        "{model}: {effort} on {examples:,} examples in {seconds:.1f} s",
        model=which, effort=settings.effort, examples=examples.num_rows, seconds=time.monotonic() - began,
    )  # fmt: skip
    return model


def _train_again(folder: Path, examples: pa.Table, spec: Spec, settings: Ranker) -> None:
    """Train the evaluated model's settings again, and leave the models whose differences are noise."""
    trainings = noise_trainings(spec)
    for number, model in enumerate(trained_again(examples, spec, settings, trainings), start=1):
        save_model(model, folder / noise_name(number))


def _say_examples(spec: Spec, population: str, examples: pa.Table) -> None:
    """Say what there is to learn from, and which features say nothing in it."""
    import pyarrow.compute as pc

    grades = {str(entry["values"]): entry["counts"] for entry in pc.value_counts(examples["grade"]).to_pylist()}
    say(
        "population {population}: {examples:,} examples in {groups:,} groups, {features} features; grades: {grades}",
        population=population, examples=examples.num_rows, groups=len(group_ends(examples)),
        features=len(spec.features), grades={name: grades[name] for name in sorted(grades)},
    )  # fmt: skip
    ranges = {name: pc.min_max(examples[name]).as_py() for name in spec.features} if examples.num_rows else {}
    if constant := [name for name, ends in ranges.items() if ends["min"] == ends["max"]]:
        warn(
            "{count} features have the same value in all examples, so that nothing can be learned from them: {names}",
            count=len(constant), names=constant,
        )  # fmt: skip
