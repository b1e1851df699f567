"""Parts of the run report about the model: metrics, each feature alone, training curves, what the models use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from engine.evaluation import CHAMPION, MODEL, EvaluationRecord, features_alone, overall, select
from tasks.evaluation import results as evaluation
from tasks.evaluation.leakage import LEAKAGE_FILE, Leakage
from tasks.evaluation.measured_noise import NOISE_STEP
from tasks.evaluation.noise import NoiseFloor
from tasks.evaluation.results import EvaluateResult, records_if_valid
from tasks.evaluation.single_features import SINGLE_FEATURES_FILE, SingleFeatures
from tasks.publishing.gates import NO_LEAKAGE
from tasks.publishing.results import GateVerdict
from tasks.reports.svg_comparisons import Intervals, PowerRow, place_marks, plot_intervals, plot_powers
from tasks.reports.svg_curves import CurvePlot, LearningPlot, plot_curve, plot_learning
from tasks.reports.svg_tuning import TuningPlot, plot_tuning
from tasks.spec.changes import leaves
from tasks.store.records import read_list_if_valid
from tasks.store.run_files import RunFiles
from tasks.training.bias.results import PositionBiasResult
from tasks.training.curve import CURVE_FILE, TrainingCurve
from tasks.training.learning_curve import LearningCurve, learning_curves
from tasks.training.own_models import OWN_MODELS_FILE, OwnModel
from tasks.training.ranker_trials import TUNING_FILE
from tasks.training.reproducible import Reproduced
from tasks.training.train import TrainResult
from tasks.tuning.choice import Tuning

TOP_FEATURES = 10
"""Features that are shown at once."""


@dataclass(frozen=True)
class MetricPanel:
    """One metric: its definition, and who was measured by it.

    Attributes:
        metric: its name.
        definition: in short.
        contenders: the model, baselines and others, over all lists.
        features: each feature alone, the strongest first; none by a metric that no gate compares.
        plot: the contenders and the strongest feature.
        parts: the contenders by population and slice.
        noise: how far the model's value is apart between trainings; None where it is not measured.
    """

    metric: str
    definition: str
    contenders: tuple[EvaluationRecord, ...]
    features: tuple[EvaluationRecord, ...]
    plot: Intervals | None
    parts: tuple[SliceRow, ...]
    noise: float | None = None

    def value_of(self, contender: str) -> float | None:
        """The value of a contender over all lists; None if it was not measured."""
        record = overall(self.contenders, self.metric, contender)
        return None if record is None else record.value


@dataclass(frozen=True)
class SliceRow:
    """One population or slice: its lists, and the value of each contender."""

    population: str
    slice: str
    groups: int
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class FeaturesAlone:
    """Each feature alone beside the best baseline, the model and a perfect ranking.

    Attributes:
        leakage: what was measured.
        model: the model's value of the same metric.
        rows: the features that are shown at once.
        more: the weaker ones, folded.
        marks: places of the baseline and the model on the axis of the bars.
        single: the features as baselines, beside the model; None if the run did not compare them.
    """

    leakage: Leakage
    model: float | None
    rows: tuple[PowerRow, ...]
    more: tuple[PowerRow, ...]
    marks: Mapping[str, float]
    single: SingleFeatures | None


class FeatureGain(NamedTuple):
    """A feature's share of the model's gain, its bar relative to the longest, and how often it is split on."""

    name: str
    share: float
    width: float
    splits: int | None


@dataclass(frozen=True)
class ModelPanel:
    """The model of one population.

    Attributes:
        population: whose model it is.
        examples: what the evaluated model was trained on.
        groups: lists that they form.
        settings: of the ranker.
        gains: the features by gain that are shown at once.
        more: the weaker ones, folded.
        unused: features that no tree uses.
        curve: the metric by round; None if the run recorded none.
        plot: the same, drawn; None if there is nothing to draw.
        own: how it compares with everybody's model; None if it was not compared.
        reproduced: what was trained twice, to the same bytes; None if the run did not try.
        tuning: the search for its settings, and its plot; None where there was none.
        position_bias: how it was corrected for where items were shown; None if it was not.
    """

    population: str
    examples: int
    groups: int
    settings: Mapping[str, Any]
    gains: tuple[FeatureGain, ...]
    more: tuple[FeatureGain, ...]
    unused: tuple[str, ...]
    curve: TrainingCurve | None
    plot: CurvePlot | None
    own: OwnModel | None = None
    reproduced: Reproduced | None = None
    tuning: tuple[Tuning, TuningPlot] | None = None
    position_bias: PositionBiasResult | None = None


def metric_panels(run: RunFiles) -> tuple[MetricPanel, ...] | None:
    """Read the metrics that were measured; None if none were."""
    records, noise = records_if_valid(run.step_dir(evaluation.STEP)), noise_of(run)
    if records is None or noise is None:
        return None if records is None else by_metric(records)
    return tuple(replace(panel, noise=noise.sigma.get(panel.metric)) for panel in by_metric(records))


def noise_of(run: RunFiles) -> NoiseFloor | None:
    """Read the noise of training: what the run measured, else what `matinee noise` did; None where nobody has."""
    result = EvaluateResult.read_if_valid(run.step_dir(evaluation.STEP) / "result.json")
    if result is not None and result.noise is not None:
        return result.noise
    return NoiseFloor.read_if_valid(run.step_dir(NOISE_STEP) / "result.json")


def rerank_texts(run: RunFiles) -> tuple[str, ...]:
    """Say by how much re-ranking changed each metric; nothing where lists are not re-ranked."""
    result = EvaluateResult.read_if_valid(run.step_dir(evaluation.STEP) / "result.json")
    return () if result is None else tuple(effect.text for effect in result.rerank)


def by_metric(records: Sequence[EvaluationRecord]) -> tuple[MetricPanel, ...]:
    """Arrange records by metric, in the order of the records; the model comes before its baselines."""
    panels = []
    for metric in dict.fromkeys(record.metric for record in records):
        # sorted() is stable: behind the model, contenders stay in the order of the records.
        measured = [r for r in select(records, metric=metric, is_overall=True) if not r.feature]
        contenders, features = sorted(measured, key=lambda r: r.of != MODEL), features_alone(records, metric)
        panels.append(
            MetricPanel(
                metric=metric,
                definition=select(records, metric=metric)[0].definition,
                contenders=tuple(contenders),
                features=tuple(features),
                plot=plot_intervals([*contenders, *features[:1]]),
                parts=_slice_rows(select(records, metric=metric, is_overall=False)),
            )
        )
    return tuple(panels)


def _slice_rows(records: Iterable[EvaluationRecord]) -> tuple[SliceRow, ...]:
    rows: dict[tuple[str, str], list[EvaluationRecord]] = {}
    for record in records:
        piece = record.slice
        name = ", ".join(f"{k} {v}" for k, v in piece.items()) if isinstance(piece, dict) else piece or "all"
        rows.setdefault((record.population, name), []).append(record)
    return tuple(
        SliceRow(population, name, members[0].groups, {record.of: record.value for record in members})
        for (population, name), members in rows.items()
    )


def feature_powers(run: RunFiles) -> FeaturesAlone | None:
    """Read the power of each feature alone; None if it was not measured."""
    folder = run.step_dir(evaluation.STEP)
    leakage, records = Leakage.read_if_valid(folder / LEAKAGE_FILE), records_if_valid(folder)
    if leakage is None or records is None:
        return None
    record = overall(records, leakage.metric, MODEL)
    model, top = None if record is None else record.value, leakage.perfect or 1.0
    rows = plot_powers(leakage.features, top)
    # All that are suspicious are shown at once: they are among the first, because the strongest come first.
    shown = max(TOP_FEATURES, len(leakage.suspicious))
    marks = place_marks({"baseline": leakage.reference.value, "model": model}, top)
    single = SingleFeatures.read_if_valid(folder / SINGLE_FEATURES_FILE)
    return FeaturesAlone(leakage, model, rows[:shown], rows[shown:], marks, single)


def model_panels(run: RunFiles) -> tuple[ModelPanel, ...]:
    """Read each population's model."""
    compared = read_list_if_valid(run.step_dir(evaluation.STEP) / OWN_MODELS_FILE, OwnModel) or []
    own = {model.population: model for model in compared}
    panels = []
    for folder, result in trained_models(run):
        gains = feature_gains(result)
        used = [gain for gain in gains if gain.share > 0]
        curve = TrainingCurve.read_if_valid(folder / CURVE_FILE)
        tuning = Tuning.read_if_valid(folder / TUNING_FILE)
        panels.append(
            ModelPanel(
                population=result.population,
                examples=result.examples,
                groups=result.groups,
                # In the order in which they are on disk.
                settings=dict(sorted(leaves(result.settings.model_dump(mode="json")))),
                gains=tuple(used[:TOP_FEATURES]),
                more=tuple(used[TOP_FEATURES:]),
                unused=tuple(gain.name for gain in gains if gain.share == 0),
                curve=curve,
                plot=None if curve is None else plot_curve(curve),
                own=own.get(result.population),
                reproduced=result.reproduced,
                tuning=None if tuning is None else (tuning, plot_tuning(tuning)),
                position_bias=result.position_bias,
            )
        )
    return tuple(panels)


class LearningPanel(NamedTuple):
    """A learning curve, and its plot."""

    curve: LearningCurve
    plot: LearningPlot


def learning_panels(run: RunFiles) -> tuple[LearningPanel, ...]:
    """Read the learning curves that somebody asked for."""
    return tuple(LearningPanel(curve, plot_learning(curve)) for curve in learning_curves(run))


def trained_models(run: RunFiles) -> list[tuple[Path, TrainResult]]:
    """Read what the step `train` recorded of each population, with its folder."""
    folders = sorted(path.parent for path in run.step_dir("train").glob("*/result.json"))
    results = ((folder, TrainResult.read_if_valid(folder / "result.json")) for folder in folders)
    return [(folder, result) for folder, result in results if result is not None]


def feature_gains(result: TrainResult) -> list[FeatureGain]:
    """Arrange the features of a model by gain, the greatest first."""
    # By name where gains are equal, so that a page is the same each time it is made.
    gains = sorted(result.importance.items(), key=lambda pair: (-pair[1], pair[0]))
    # Trees that never split have no gain at all.
    total = sum(gain for _, gain in gains) or 1.0
    greatest = max((gain for _, gain in gains), default=0.0) or 1.0
    return [FeatureGain(name, gain / total, gain / greatest, result.splits.get(name)) for name, gain in gains]


@dataclass(frozen=True)
class GateRow:
    """A gate's verdict, and what it is for if it stands in no pipeline file.

    Attributes:
        verdict: of the step `gate`.
        state: whether it passed; one that had nothing to compare lets pass, which is no proof.
        built_in: what the gate is for, if every pipeline has it; empty for those of the pipeline file.
    """

    verdict: GateVerdict
    state: Literal["passed", "failed", "not evaluated"]
    built_in: str


NOTHING_COMPARED = ("not evaluated:", f"no {CHAMPION} before ")
"""How the detail of a gate begins that lets pass because it had nothing to compare (`tasks.publishing.gates`)."""
LEAKAGE_IS_FOR = (
    "built in, for every pipeline: a single feature that ranks almost perfectly has probably seen what it is to predict"
)
REFIT_IS_FOR = (
    "built in, with `publish.refit`: what is published was trained again, on more days than what was evaluated; if it "
    "is worse even on days that it has seen, training again went wrong"
)


def gate_rows(verdicts: Sequence[GateVerdict] | None) -> tuple[GateRow, ...] | None:
    """Arrange the verdicts of a run; None if it has none."""
    return None if verdicts is None else tuple(_gate_row(verdict) for verdict in verdicts)


def _gate_row(verdict: GateVerdict) -> GateRow:
    leakage, refit = verdict.gate == NO_LEAKAGE, "of the refitted model" in verdict.gate
    built_in = LEAKAGE_IS_FOR if leakage else REFIT_IS_FOR if refit else ""
    compared = not verdict.detail.startswith(NOTHING_COMPARED)
    return GateRow(verdict, "failed" if not verdict.passed else "passed" if compared else "not evaluated", built_in)
