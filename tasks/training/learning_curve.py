"""Is the sample enough? The metric by the number of groups trained on, and what more of them would bring.

Parts of the drawn training groups are trained on, several times with other seeds, and all models are measured on the
same lists: what is compared is paired. The curve of one model by its rounds is another one (`tasks.training.curve`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples.sampling.order import Order, group_hashes
from tasks.runs.narration import counted, say
from tasks.spec.populations import slug
from tasks.spec.spec import Spec
from tasks.store.files import sha256_file
from tasks.store.records import Record
from tasks.training.rankers import train_ranker
from tasks.training.reseeded import reseeded
from tasks.training.saturation import fit_power_laws
from tasks.training.train import TrainResult, read_windows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from engine.arrays import Floats
    from tasks.runs.run import Run
    from tasks.store.run_files import RunFiles

STEP = "learning_curve"
SHARES = (0.05, 0.1, 0.2, 0.5, 1.0)
LEAST_GROUPS = 20
"""So that the smallest share has one."""
SEED = 0
"""Of the bootstrap."""
DIGITS = 6
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


class Estimate(Record):
    """A figure with its 95 % interval, over users and seeds."""

    value: float
    low: float
    high: float


class CurvePoint(Estimate):
    """The metric of models trained on a share of the groups: its mean over seeds."""

    share: float
    groups: int


class Saturation(Record):
    """The fitted law limit − scale·n^(−exponent), and what it says of twice as many groups, and of any number."""

    limit: float
    scale: float
    exponent: float
    doubled: Estimate
    at_most: Estimate


class LearningCurve(Record):
    """Answer of `curve`.

    Attributes:
        population: whose model.
        metric: that of the first gate.
        window: where it is measured; `test` without a validation window.
        seeds: models for each share.
        groups: lists that were measured.
        points: from the smallest share to all.
        saturation: what is fitted to them.
        sample: digest of the sample that they are of.
    """

    population: str
    metric: str
    window: str
    seeds: int
    groups: int
    points: tuple[CurvePoint, ...]
    saturation: Saturation
    sample: str = ""

    @property
    def is_enough(self) -> bool:
        """Whether twice as many groups would bring less than can be told apart on so many lists."""
        whole = self.points[-1]
        return self.saturation.doubled.high < (whole.high - whole.low) / 2

    def summary(self) -> str:
        """What more data would bring."""
        whole, twice, most = self.points[-1], self.saturation.doubled, self.saturation.at_most
        enough = "the sample is enough" if self.is_enough else "more data may help"
        return (
            f"{self.metric} is {whole.value:.4f} with {whole.groups:,} groups; twice as many would bring "
            f"{twice.value:.4f} ({twice.low:.4f} to {twice.high:.4f}), and any number at most {most.value:.4f} "
            f"({most.low:.4f} to {most.high:.4f}): {enough}"
        )


def measure_learning_curve(run: Run, population: str, seeds: int) -> LearningCurve:
    """Measure the curve of a run's sample with the settings of its evaluated model, and keep it with the run.

    Raises:
        MatineeError: the run has no sample or no model of the population yet.
        TrainingError: there is too little to train on or to measure.
    """
    settings = run.read(f"train/{slug(population)}", TrainResult).settings

    def read(name: str) -> pa.Table:
        return read_windows(run, population, name)

    try:
        curve = learning_curve(run.spec, settings, read, population, seeds)
    except TrainingError as error:
        raise TrainingError(f"{run.spec.name} {run.as_of}, population {population!r}: {error}") from None
    with run.write(f"{STEP}/{slug(population)}") as folder:
        folder.result = curve = curve.model_copy(update={"sample": _sample_digest(run)})
    say("{summary}", summary=curve.summary())
    return curve


def learning_curves(run: RunFiles) -> tuple[LearningCurve, ...]:
    """Read the curves of a run; those of a sample that was drawn anew since are left out."""
    paths = sorted(run.step_dir(STEP).glob("*/result.json"))
    curves = [LearningCurve.read_if_valid(path) for path in paths]
    sample = _sample_digest(run)
    return tuple(curve for curve in curves if curve is not None and curve.sample == sample)


def _sample_digest(run: RunFiles) -> str:
    path = run.step_dir("sample") / "digests.json"
    return sha256_file(path) if path.exists() else ""


@dataclass(frozen=True)
class _Measured:
    """The metric of every model on every list, (shares, seeds, lists), and the groups trained on by share."""

    values: Floats
    groups: Floats


def learning_curve(
    spec: Spec, settings: Any, read: Callable[[str], pa.Table], population: str, seeds: int
) -> LearningCurve:
    """Train on growing parts of the training window, and measure each model.

    Args:
        spec: the pipeline.
        settings: of the ranker, as the evaluated model has them.
        read: gives the examples of a window (`train`, `validation`, `test`) of the population.
        population: its name.
        seeds: models for each share.

    Raises:
        TrainingError: there is too little to train on or to measure.
    """
    from engine.intervals import replicate_means, user_blocks
    from tasks.examples.arrays import group_offsets

    window = "validation" if spec.examples.validation else "test"
    train, held_out = read("train"), read(window)
    if not held_out.num_rows:
        raise TrainingError(f"no list of the {window} window was drawn, so nothing can be measured")
    measured = _measure(spec, settings, train, held_out, seeds)
    heads = held_out.take(group_offsets(held_out)[:-1])
    values = measured.values.reshape(-1, measured.values.shape[-1])
    blocks = user_blocks(heads["user_id"].to_pylist(), SEED)
    replicates = replicate_means(values, heads["weight"].to_numpy(), blocks, SEED)
    return _described(spec, measured, replicates, heads["weight"].to_numpy()).model_copy(
        update={"population": population, "window": window, "seeds": seeds}
    )


def _measure(spec: Spec, settings: Any, train: pa.Table, held_out: pa.Table, seeds: int) -> _Measured:
    import numpy as np

    from engine.lists import Lists
    from engine.metrics import parse_metric
    from tasks.examples.arrays import group_offsets, matrix

    metric, offsets = parse_metric(spec.gates[0].metric), group_offsets(held_out)
    features, grades = matrix(held_out, spec.features), held_out["grade"].to_numpy()
    of_train = group_offsets(train)
    sizes = [math.ceil(share * (len(of_train) - 1)) for share in SHARES]
    if sizes[-1] < LEAST_GROUPS:
        raise TrainingError(f"{sizes[-1]} training groups are too few for a curve; expected {LEAST_GROUPS} or more")
    values = np.empty((len(SHARES), seeds, len(offsets) - 1))
    for place in counted([(n, seed) for n in range(len(SHARES)) for seed in range(seeds)], "models"):
        number, seed = place
        part = train.filter(_first_groups(train, of_train, sizes[number], seed))
        # Of all groups every seed has the same, and only the ranker's own draws tell the models apart.
        scores = train_ranker(part, spec, reseeded(settings, seed)).scorer().predict(features)
        values[number, seed] = metric(Lists.of(scores, grades, offsets))
        say("{groups:,} groups, seed {seed}: {value:.4f}", groups=sizes[number], seed=seed,
            value=float(np.nanmean(values[number, seed])))  # fmt: skip
    return _Measured(values, np.asarray(sizes, dtype=np.float64))


def _first_groups(train: pa.Table, offsets: npt.NDArray[np.int64], size: int, seed: int) -> pa.Array:
    """Mark the rows of the `size` groups that a draw takes first: a small part is part of a large one."""
    import numpy as np
    import pyarrow as pa

    heads = train.select(["group_id", "cut"]).take(offsets[:-1]).to_pylist()
    groups = [(head["group_id"], head["cut"]) for head in heads]
    places = Order.of(seed, "curve").places(group_hashes(groups))
    chosen = np.zeros(len(groups), dtype=bool)
    chosen[sorted(range(len(groups)), key=lambda number: (places[number], groups[number]))[:size]] = True
    return pa.array(np.repeat(chosen, np.diff(offsets)))


def _described(spec: Spec, measured: _Measured, replicates: Floats, weights: Floats) -> LearningCurve:
    import numpy as np

    from engine.intervals import weighted_mean

    shares, seeds, lists = measured.values.shape
    each = [weighted_mean(own, weights) or (math.nan, 0.0) for own in measured.values.reshape(-1, lists)]
    values = np.asarray([mean for mean, _ in each]).reshape(shares, seeds).mean(axis=1)
    # In each replicate the seeds are drawn again, too: what a small part teaches depends on which groups it has.
    picks = np.random.default_rng([SEED, seeds]).integers(0, seeds, (len(replicates), shares, seeds))
    drawn = np.take_along_axis(replicates.reshape(-1, shares, seeds), picks, axis=2).mean(axis=2)
    groups, whole = measured.groups, int(measured.groups[-1])
    law, laws = fit_power_laws(groups, values[None]), fit_power_laws(groups, drawn)
    points = [
        CurvePoint(share=share, groups=int(size), **_estimate(float(value), column).model_dump())
        for share, size, value, column in zip(SHARES, groups, values, drawn.T, strict=True)
    ]
    saturation = Saturation(
        limit=round(float(law.limit[0]), DIGITS),
        scale=round(float(law.scale[0]), DIGITS),
        exponent=round(float(law.exponent[0]), DIGITS),
        doubled=_estimate(float(law.gain(whole, 2.0)[0]), laws.gain(whole, 2.0)),
        at_most=_estimate(float(law.gain(whole, math.inf)[0]), laws.gain(whole, math.inf)),
    )
    return LearningCurve(
        population="", metric=spec.gates[0].metric, window="", seeds=seeds, groups=lists, points=tuple(points),
        saturation=saturation,
    )  # fmt: skip


def _estimate(value: float, replicates: Floats) -> Estimate:
    import numpy as np

    low, high = np.quantile(replicates, [0.025, 0.975])
    return Estimate(value=round(value, DIGITS), low=round(float(low), DIGITS), high=round(float(high), DIGITS))
