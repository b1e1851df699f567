"""Parts of the run report about the model: metrics, each feature alone, what the models use, what it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.evaluation import MODEL, EvaluationRecord, overall, select
from tasks.evaluation import results as evaluation
from tasks.evaluation.leakage import LEAKAGE_FILE, Leakage
from tasks.evaluation.results import records_if_valid
from tasks.examples.candidates import RetrieveResult
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateResult, PublishResult
from tasks.reports.svg_comparisons import Intervals, PowerRow, place_marks, plot_intervals, plot_powers
from tasks.sources.land import LandResult
from tasks.store.files import canonical_json
from tasks.store.run_files import RunFiles, optional
from tasks.training.train import TrainResult

if TYPE_CHECKING:
    from tasks.runs.run import Run

TOP_FEATURES = 20


@dataclass(frozen=True)
class MetricPanel:
    """One metric: its definition, the contenders over all lists, and the same by population and slice."""

    metric: str
    definition: str
    contenders: tuple[EvaluationRecord, ...]
    plot: Intervals | None
    parts: tuple[SliceRow, ...]

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
    """

    leakage: Leakage
    model: float | None
    rows: tuple[PowerRow, ...]
    more: tuple[PowerRow, ...]
    marks: Mapping[str, float]


class FeatureGain(NamedTuple):
    """A feature's share of the model's gain, and its bar relative to the longest."""

    name: str
    share: float
    width: float


@dataclass(frozen=True)
class ModelPanel:
    """The model of one population: what it was trained on, its settings, and its features by gain."""

    population: str
    examples: int
    groups: int
    settings: Mapping[str, Any]
    gains: tuple[FeatureGain, ...]
    unused: tuple[str, ...]


@dataclass(frozen=True)
class Lineage:
    """What a run was made from.

    Attributes:
        version: the version it published.
        would_be: the version that it would have published.
        champion: the version it was compared with.
        descriptor: path of the descriptor, relative to the state folder.
        artifacts: size and digest of each artifact, by name.
        data: digest of the landing.
        code: digest of the code.
        libraries: versions of the libraries, by name.
        spec: the pipeline file as canonical JSON.
        landed: what was landed for it.
    """

    version: str | None
    would_be: str | None
    champion: str | None
    descriptor: str | None
    artifacts: Mapping[str, Any]
    data: str | None
    code: str | None
    libraries: Mapping[str, str]
    spec: str | None
    landed: LandResult | None


def metric_panels(run: RunFiles) -> tuple[MetricPanel, ...] | None:
    """Read the metrics that were measured; None if none were."""
    records = records_if_valid(run.step_dir(evaluation.STEP))
    return None if records is None else by_metric(records)


def by_metric(records: Sequence[EvaluationRecord]) -> tuple[MetricPanel, ...]:
    """Arrange records by metric, in the order of the records; the model comes before its baselines."""
    panels = []
    for metric in dict.fromkeys(record.metric for record in records):
        # sorted() is stable: behind the model, contenders stay in the order of the records.
        contenders = sorted(select(records, metric=metric, is_overall=True), key=lambda record: record.of != MODEL)
        panels.append(
            MetricPanel(
                metric=metric,
                definition=select(records, metric=metric)[0].definition,
                contenders=tuple(contenders),
                plot=plot_intervals(contenders),
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


def features_alone(run: RunFiles) -> FeaturesAlone | None:
    """Read the power of each feature alone; None if it was not measured."""
    folder = run.step_dir(evaluation.STEP)
    leakage, records = Leakage.read_if_valid(folder / LEAKAGE_FILE), records_if_valid(folder)
    if leakage is None or records is None:
        return None
    record = overall(records, leakage.metric, MODEL)
    model, top = None if record is None else record.value, leakage.perfect or 1.0
    rows = plot_powers(leakage.features, top)
    # All that are suspicious are shown at once: they are among the first, because the strongest come first.
    shown = max(TOP_FEATURES // 2, len(leakage.suspicious))
    marks = place_marks({"baseline": leakage.reference.value, "model": model}, top)
    return FeaturesAlone(leakage, model, rows[:shown], rows[shown:], marks)


def model_panels(run: RunFiles) -> tuple[ModelPanel, ...]:
    """Read each population's model."""
    panels = []
    for path in sorted(run.step_dir("train").glob("*/result.json")):
        result = TrainResult.read_if_valid(path)
        if result is None:
            continue
        # By name where gains are equal, so that a page is the same each time it is made.
        gains = sorted(result.importance.items(), key=lambda pair: (-pair[1], pair[0]))
        # Trees that never split have no gain at all.
        total = sum(gain for _, gain in gains) or 1.0
        greatest = max((gain for _, gain in gains), default=0.0) or 1.0
        panels.append(
            ModelPanel(
                population=result.population,
                examples=result.examples,
                groups=result.groups,
                # In the order in which they are on disk.
                settings=dict(sorted(result.settings.model_dump(mode="json").items())),
                gains=tuple(FeatureGain(name, gain / total, gain / greatest) for name, gain in gains[:TOP_FEATURES]),
                unused=tuple(name for name, gain in gains if gain == 0),
            )
        )
    return tuple(panels)


@dataclass(frozen=True)
class _PublishedVersion:
    """What the descriptor of a published version says of its origin."""

    path: str | None = None
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)


def lineage(run: Run) -> Lineage | None:
    """Gather what the run was made from: its landing, and, once it has published, what the descriptor says.

    None if not even the landing is there.
    """
    land = LandResult.read_if_valid(run.step_dir("land") / "result.json")
    retrieve = RetrieveResult.read_if_valid(run.step_dir("retrieve") / "result.json")
    published = PublishResult.read_if_valid(run.step_dir(PUBLISH_STEP) / "result.json")
    gate = GateResult.read_if_valid(run.step_dir(GATE_STEP) / "result.json")
    if land is None and retrieve is None and published is None:
        return None
    version = _published_version(run, published)
    spec = version.lineage.get("spec")
    return Lineage(
        version=None if published is None else published.version,
        would_be=None if gate is None else gate.version,
        champion=None if gate is None else gate.champion,
        descriptor=version.path,
        artifacts=version.artifacts,
        data=version.lineage.get("data") or (None if retrieve is None else retrieve.data),
        code=version.lineage.get("code"),
        libraries=version.lineage.get("libraries", {}),
        spec=None if spec is None else canonical_json(spec),
        landed=land if land and land.rows else None,
    )


def _published_version(run: Run, published: PublishResult | None) -> _PublishedVersion:
    if published is None:
        return _PublishedVersion()
    path = f"{published.path}/descriptor.json"
    # Not parsed as a descriptor: the page shows what is there, also of versions that this engine does not read.
    descriptor = optional(run.home.root / path)
    if not isinstance(descriptor, Mapping):
        return _PublishedVersion()
    return _PublishedVersion(path, descriptor.get("artifacts", {}), descriptor.get("lineage") or {})
