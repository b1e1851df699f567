"""What runs leave behind, small and by hand, for the tests of the pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from html.parser import HTMLParser
from typing import Any

import duckdb
from pydantic import BaseModel

from engine.evaluation import EvaluationRecord
from tasks.checks.features import FeatureCheckResult
from tasks.checks.rejection_rates import RejectedCount
from tasks.checks.verdicts import Check
from tasks.evaluation.leakage import FeaturePower, Leakage, Reference, Thresholds
from tasks.evaluation.results import Figure
from tasks.evaluation.single_features import SingleFeature, SingleFeatures
from tasks.examples.positives import Positives
from tasks.examples.sample import SampleResult
from tasks.examples.sampling.draw import StratumDraw
from tasks.monitoring.distributions import Bin
from tasks.monitoring.drift import CurrentExamples, Drift, FeatureDrift, LabelRate, Level, ReferenceExamples
from tasks.publishing.results import GateResult, GateVerdict, PublishResult
from tasks.runs.steps import WITH_RESULT
from tasks.sources.land import LandResult
from tasks.spec.rankers import LightGBM
from tasks.store.files import write_json
from tasks.training.learning_curve import CurvePoint, Estimate, LearningCurve, Saturation
from tasks.training.train import TrainResult
from tests.tasks.checking import FakeRun
from tests.tasks.diagnosed import CURVE, DIAGNOSTICS

LEARNED = LearningCurve(
    population="*",
    metric="ndcg@10",
    window="validation",
    seeds=3,
    groups=900,
    points=tuple(
        CurvePoint(share=n / 400, groups=n, value=0.5 - n**-0.5, low=0.49 - n**-0.5, high=0.51 - n**-0.5)
        for n in (20, 40, 80, 200, 400)
    ),
    saturation=Saturation(
        limit=0.5,
        scale=1.0,
        exponent=0.5,
        doubled=Estimate(value=0.006, low=0.002, high=0.02),
        at_most=Estimate(value=0.05, low=0.01, high=0.09),
    ),
)
SAMPLED = SampleResult(
    strata=(), rows={}, populations={}, serving={}, positives={"learn": Positives(examples=6, lists=2, all_lists=2)}
)
STEPS = tuple(step.name for step in WITH_RESULT)
NASTY = "<script>alert('x')</script>"


def record(metric: str, of: str, value: float | None, **more: Any) -> EvaluationRecord:
    low, high = (None, None) if value is None else (value - 0.01, value + 0.01)
    figures = {"value": value, "low": low, "high": high, "groups": 900, "definition": "ndcg/linear/log2"}
    return EvaluationRecord.model_validate({"metric": metric, "of": of, "slice": None, **figures, **more})


def plain(records: Iterable[BaseModel]) -> list[dict[str, Any]]:
    """Records as they lie on disk."""
    return [record.model_dump(mode="json", exclude_unset=True) for record in records]


def a_check(**change: Any) -> dict[str, Any]:
    check = Check(
        suite="simulated.events",
        table="events",
        day="2026-02-10",
        type="expect_column_values_to_be_between",
        column="user_id__null_rate",
        severity="critical",
        success=True,
        observed=0.002,
        expected="at most 5 %",
        why="An event without a user says nothing.",
        next="land the day again.",
        place="x.parquet",
    )
    return Check.model_validate({**dict(check), **change}).to_json()


def power(feature: str, value: float, **more: Any) -> FeaturePower:
    spans = {"auc": value, "auc_low": value - 0.01, "auc_high": value + 0.01, "closes": (value - 0.3) / 0.7}
    common = {"direction": "higher", "groups": 900, "suspicious": False}
    return FeaturePower.model_validate({"feature": feature, "value": value, **spans, **common, **more})


LEAKAGE = Leakage(
    metric="ndcg@10",
    reference=Reference(of="history", value=0.3),
    perfect=1.0,
    suspicious_from=Thresholds(closes=1 / 3, auc=0.97, groups=30),
    features=[
        power("plays_tomorrow", 0.98, suspicious=True),
        power("known_ahead", 0.9, suspicious=True, acknowledged="Set the day before."),
        power("user_item_days_since_action", 0.35, direction="lower"),
        *(power(f"item_actions_{days}d", 0.3 - days / 1000) for days in range(1, 13)),
    ],
)
SINGLE_FEATURES = SingleFeatures(
    metric="ndcg@10",
    chosen_on="validation",
    lead=Figure(value=-0.01, low=-0.03, high=0.01),
    features=(
        SingleFeature(
            feature="user_item_days_since_action",
            direction="lower",
            figure=Figure(value=0.35, low=0.34, high=0.36),
            lead=Figure(value=-0.01, low=-0.02, high=0.01),
        ),
        *(
            SingleFeature(
                feature=f"item_actions_{days}d",
                direction="higher",
                figure=Figure(value=0.3 - days / 1000, low=0.28, high=0.31),
                lead=Figure(value=0.04 + days / 1000, low=0.02, high=0.06),
            )
            for days in range(1, 8)
        ),
    ),
)
RECORDS = [
    *(
        record(metric, of, value - shift)
        for metric, shift in (("ndcg@10", 0.0), ("mrr", 0.05), ("recall@20", -0.1))
        for of, value in (("popularity", 0.28), ("model", 0.34), ("history", 0.30))
    ),
    *(
        record("ndcg@10", of, 0.3, slice={"region": region})
        for of in ("model", "popularity", "history")
        for region in ("BR", "US", "DE")
    ),
    record("fpc", "model", None),
]
LANDED = LandResult(
    source="simulated",
    start=date(2026, 1, 1),
    end=date(2026, 2, 10),
    partitions={"events": 41},
    rows={"events": 4100},
    rows_of_day={"events": 100},
    rejects=0,
    digest="d" * 64,
)
TRAINED = TrainResult(
    population="*",
    examples=120_000,
    groups=6000,
    settings=LightGBM(type="lightgbm", rounds=100),
    trials=0,
    importance={"als_score": 900.0, "item_ctr_28d": 500.5, "user_item_actions_28d": 120.0, "unused": 0.0},
    splits={"als_score": 80, "item_ctr_28d": 90, "user_item_actions_28d": 12, "unused": 0},
)
PUBLISHED = PublishResult(
    version="2026-02-10.3f9ac2d1",
    path="registry/demo/versions/2026-02-10.3f9ac2d1",
    new=True,
    alias="champion",
    alias_moved=True,
    content="0" * 64,
    metrics={"ndcg@10": 0.34},
)
VERDICT = GateVerdict(
    gate="ndcg@10 beats popularity by 0.01",
    passed=True,
    detail="difference +0.0600 [+0.0500, +0.0700] over 900 groups",
)


def gate_result(*verdicts: GateVerdict, **more: Any) -> GateResult:
    passed = all(verdict.passed for verdict in verdicts)
    return GateResult.model_validate({"passed": passed, "gates": list(verdicts), "version": PUBLISHED.version, **more})


def feature_checks(*rejected: tuple[str, int, int], **failed: int) -> dict[str, Any]:
    """The result of the check of the features: (rule, rejected rows, rows), and failed checks by severity."""
    result = FeatureCheckResult(
        checked=1,
        failed_critical=failed.get("critical", 0),
        failed_warning=failed.get("warning", 0),
        failed_info=failed.get("info", 0),
        suites=(),
        warnings=(),
        rejects=tuple(
            RejectedCount(table=f"events: {rule}", rejected=count, rows=rows, rate=count / rows)
            for rule, count, rows in rejected
        ),
        quarantine={},
        quarantine_files={},
    )
    return result.to_json()


def drifted(feature: str, level: Level, psi: float, *, bins: bool = True) -> FeatureDrift:
    halves = (
        Bin(low=None, high=1, reference=0.5, current=0.2),
        Bin(low=1, high=None, reference=0.5, current=0.8),
    )
    return FeatureDrift(
        feature=feature,
        psi=psi,
        psi_noise_bound=0.01,
        ks=psi / 2,
        ks_noise_bound=0.02,
        level=level,
        unit="users",
        sentence="median 1 -> 2",
        note=None,
        bins=halves if bins else (),
    )


DRIFT = Drift(
    reference=ReferenceExamples(kind="train", first=date(2026, 1, 1), last=date(2026, 1, 28), rows=9000, groups=450),
    current=CurrentExamples(part="test", first=date(2026, 2, 1), last=date(2026, 2, 7), rows=2000, groups=100),
    features=(
        drifted("user_ctr_28d", "stable", 0.01),
        drifted("item_plays_7d", "drifted", 0.31),
        drifted("user_actions_365d", "warming_up", 0.5, bins=False),
    ),
    label_rate=(LabelRate(cut=date(2026, 2, 7), part="test", rows=100, groups=10, rate=0.08),),
    scores=drifted("model score", "shifted", 0.12),
)


def finished(run: FakeRun, *, steps: tuple[str, ...] = STEPS) -> FakeRun:
    """What a good run leaves behind, up to the last of `steps`."""
    regions = ("BR", "US", "DE")
    files: dict[str, dict[str, Any]] = {
        "land": {"result.json": LANDED.to_json()},
        "check_landed": {
            "checks.json": [
                a_check(),
                a_check(
                    table="impressions",
                    column="rows_vs_trailing",
                    observed=2.4,
                    expected="at most 2",
                    severity="warning",
                    success=False,
                    why="Traffic that doubles is rare.",
                ),
            ]
        },
        "check_features": {
            "checks.json": [a_check(column="features__constant", observed="none", expected="none", severity="info")],
            "result.json": feature_checks(("any rule", 40, 2000), (NASTY, 10, 2000)),
        },
        "check_examples": {"checks.json": [a_check(table="train", column="positive__rate", observed=0.081)]},
        "sample": {
            "result.json": SAMPLED.to_json(),
            "strata.json": [
                StratumDraw(
                    stratum={"region": region, "tenure_band": band},
                    groups=900 * n,
                    drawn=300,
                    promised=400 if band == "new" else 0,
                    cap=500,
                    spread=0.3,
                ).to_json()
                for n, region in enumerate(regions, 1)
                for band in ("new", "old")
            ],
        },
        "monitor": {"drift.json": DRIFT.to_json()},
        "train/all": {"result.json": TRAINED.to_json(), "curve.json": CURVE.to_json()},
        "evaluate": {
            "records.json": plain(RECORDS),
            "leakage.json": LEAKAGE.to_json(),
            "single_features.json": SINGLE_FEATURES.to_json(),
        },
        "check_predictions": {"diagnostics.json": DIAGNOSTICS.to_json()},
        "gate": {"gates.json": plain([VERDICT]), "result.json": gate_result(VERDICT).to_json()},
        "publish": {"result.json": PUBLISHED.to_json()},
    }
    for step in steps:
        for name in [name for name in (step, f"{step}/all") if name in files] or [step]:
            for file, content in {"result.json": {}, **files.get(name, {})}.items():
                write_json(run.step_dir(name) / file, content)
    if "sample" in steps:
        write_examples(run)
    return run


def write_examples(run: FakeRun) -> None:
    """Two cuts of ten examples: a tenth has grade 3 at the first, and a half at the second."""
    query = """
        copy (select 'list ' || cut as group_id, date '2026-01-01' + cut::integer as cut,
                     if(row >= 9 - 4 * cut, 3, 0)::tinyint as grade,
                     1.0::float as weight from range(2) cuts(cut), range(10) numbers(row))
        to '{path}' (format parquet)
    """
    with duckdb.connect() as connection:
        connection.execute(query.format(path=run.step_dir("sample") / "train.parquet"))


class Checker(HTMLParser):
    """Collects what a page would fetch or run, and whether its elements are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)
        if tag in ("script", "link", "img", "iframe") or any(name == "src" for name, _ in attrs):
            self.fetched.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes: what data must not be able to change."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *sorted(name for name, _ in attrs)))


def skeleton(page: str) -> list[tuple[str, ...]]:
    parser = Skeleton()
    parser.feed(page)
    return parser.elements
