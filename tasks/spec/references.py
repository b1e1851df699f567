"""Second phase of loading a pipeline file: every name in it refers to something that exists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.errors import MetricError
from engine.evaluation import CHAMPION
from engine.metrics import parse_metric
from tasks.errors import SpecError, quoted
from tasks.spec.attributes import band_problems
from tasks.spec.conditions import canonical
from tasks.spec.feature_catalog import feature_catalog
from tasks.spec.feedback.exploration import Discount, diversify_rules, exploration_problems
from tasks.spec.feedback.position_bias import layout_of, position_bias_problems
from tasks.spec.learner_files import learner_problems
from tasks.spec.parts import (
    BEST_BASELINE,
    BEST_FEATURE,
    LOGGED_ORDER,
    BeatsGate,
    DatasetSource,
    Diversify,
    SnapshotExamples,
)
from tasks.spec.project import transforms
from tasks.spec.rankers import ranker_problems
from tasks.spec.resolved_features import CategoryFeature
from tasks.spec.retrieval import name_problems
from tasks.spec.retrievals.blend import fit_problems, unknown_parts
from tasks.spec.sample import sample_problems
from tasks.spec.spec import Spec
from tasks.spec.tune_references import tune_problems
from tasks.spec.windows import first_as_of, oldest_cut, why_first
from tasks.spec.yaml_lines import Document, nearest, unknown_name

FORMER_LOGGED_ORDER = "policy"
RENAMED_LOGGED_ORDER = f"the baseline {FORMER_LOGGED_ORDER!r} is now called {LOGGED_ORDER!r}; write that instead"


class _Problems:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.lines: list[str] = []

    def add(self, location: tuple[Any, ...], text: str) -> None:
        key = ".".join(str(part) for part in location)
        self.lines.append(f"{self.document.at(location)}: {key}: {text}")

    def unknown(self, location: tuple[Any, ...], what: str, name: str, names: Iterable[str]) -> None:
        self.add(location, unknown_name(what, name, names))


def baseline_names(spec: Spec) -> list[str]:
    """Names that `evaluate.baselines` may hold: names of retrievals, and the logged order where there is one."""
    logged = [LOGGED_ORDER] if spec.examples.kind == "impressions" else []
    return [part.identity for part in spec.retrieval] + logged


def check_references(spec: Spec, document: Document) -> None:
    """Check every name of a spec.

    Raises:
        SpecError: all problems at once, a line each.
    """
    problems = _Problems(document)
    for check in (
        _check_source, _check_labels, _check_attribution, _check_bands, _check_features, _check_attributes,
        _check_sample, _check_retrieval, _check_names_of_retrieval, _check_ranker,
        _check_position_bias, _check_rerank, _check_tune,
        _check_metrics, _check_acknowledged, _check_gates, _check_twice, _check_windows, _check_keep,
        _check_monitor,
    ):  # fmt: skip
        check(spec, problems)
    if problems.lines:
        raise SpecError("\n".join(problems.lines))


def _check_source(spec: Spec, problems: _Problems) -> None:
    if not isinstance(spec.source, DatasetSource):
        return
    sql = transforms()
    declared = {path.stem for path in sql.glob("datasets/*.yaml")}
    staged = {path.name for path in sql.glob("models/staging/*") if path.is_dir()}
    if spec.source.dataset not in declared:
        problems.unknown(("source", "dataset"), "dataset", spec.source.dataset, declared)
    elif spec.source.dataset not in staged:
        problems.add(
            ("source", "dataset"),
            f"transforms/datasets/{spec.source.dataset}.yaml has no staging models; expected the folder "
            f"transforms/models/staging/{spec.source.dataset}/ (see docs/bring-your-own-data.md)",
        )


def _check_labels(spec: Spec, problems: _Problems) -> None:
    for index, rule in enumerate(spec.label.grades):
        try:
            canonical(rule.condition, rule.key, spec.interactions.names)
        except ValueError as error:
            problems.add(("label", "grades", index, rule.key), str(error))


def _check_attribution(spec: Spec, problems: _Problems) -> None:
    if spec.label.attribution_minutes is not None and spec.examples.kind != "impressions":
        problems.add(
            ("label", "attribution", "to"), "found 'impression', but snapshots are of no impression; expected 'pair'"
        )


def _check_features(spec: Spec, problems: _Problems) -> None:
    offered = (*spec.attribute_features, *spec.retrieval_features)
    known = [*feature_catalog().features, *(feature.name for feature in offered)]
    for index, name in enumerate(spec.features):
        if name not in known:
            problems.unknown(("features", index), "feature", name, known)


def _check_attributes(spec: Spec, problems: _Problems) -> None:
    sliced = {part.name: part for part in spec.attributes if part.entity == "item" or part.type != "list"}
    for index, name in enumerate(spec.evaluate.slices):
        if name not in sliced:
            problems.unknown(("evaluate", "slices", index), "slice", name, sliced)
    lists = {part.name for part in spec.attributes if part.type == "list"}
    strata = {part.name for part in spec.attributes} - lists
    for index, name in enumerate(spec.sample.strata):
        if name in lists:
            problems.add(
                ("sample", "strata", index),
                f"found the list {quoted(name)}, of whose several values none puts a group into a stratum; expected an "
                "attribute with one value",
            )
        elif name not in strata:
            problems.unknown(("sample", "strata", index), "stratum", name, strata)
    if spec.populations is not None:
        # A model serves a user, so it is chosen by what is known of the user; by a number, each value would have one.
        _check_split(spec, problems, ("populations", "by"), spec.populations.by, "a model")


def _check_split(spec: Spec, problems: _Problems, location: tuple[Any, ...], by: str, of_each: str) -> None:
    """Check that users can be told apart by an attribute, each of whose values has `of_each`."""
    of_users = {part.name: part for part in spec.attributes if part.entity == "user"}
    if by in of_users and of_users[by].type == "number":
        problems.add(
            location,
            f"found the number {by!r}, of which each value would have {of_each}; expected bands of it: "
            f"`bands: {{{by}_band: {{of: {by}, edges: […]}}}}`",
        )
    elif by not in of_users or of_users[by].type not in {"text", "boolean"}:
        splits = [part.name for part in of_users.values() if part.type in {"text", "boolean"}]
        problems.unknown(location, "user attribute", by, splits)


def _check_sample(spec: Spec, problems: _Problems) -> None:
    for place, text in sample_problems(spec.sample):
        problems.add(("sample", *place), text)


def _check_bands(spec: Spec, problems: _Problems) -> None:
    for name, key, text in band_problems(spec.bands, spec.attributes):
        problems.add(("bands", name, *([key] if key else [])), text)


def _check_retrieval(spec: Spec, problems: _Problems) -> None:
    for index, part in enumerate(spec.retrieval):
        # Popularity is read from that column, so it only has the mart's windows.
        if part.type == "popularity" and f"item_actions_{part.window}d" not in feature_catalog().features:
            spans = sorted(name for name in feature_catalog().features if name.startswith("item_actions_"))
            problems.add(
                ("retrieval", index, "window"),
                f"found {part.window}d, expected a window of {', '.join(spans)}",
            )
        if part.attribute is not None:
            _check_split(spec, problems, ("retrieval", index, "by"), part.attribute, "a list")
        if part.type == "history" and spec.candidates.seen == "exclude":
            problems.add(
                ("retrieval", index, "type"),
                "found 'history' with `candidates: {seen: exclude}`: all it retrieves is what somebody has seen; leave "
                "it out",
            )


def _check_names_of_retrieval(spec: Spec, problems: _Problems) -> None:
    columns = {*feature_catalog().features, *(part.name for part in spec.attributes)}
    columns |= {feature.name for feature in spec.attribute_features}
    for index, key, text in name_problems(spec.retrieval, columns):
        problems.add(("retrieval", index, key), text)
    for place, name, models in unknown_parts(spec.retrieval):
        problems.unknown(("retrieval", *place), "retrieval", name, models)
    for place, text in fit_problems(spec.retrieval):
        problems.add(("retrieval", *place), text)


def _check_ranker(spec: Spec, problems: _Problems) -> None:
    for key, text in ranker_problems(spec.ranker, validation=spec.examples.validation > 0):
        problems.add(("ranker", *key), text)
    for place, text in learner_problems(spec):
        problems.add(place, text)


def _check_position_bias(spec: Spec, problems: _Problems) -> None:
    declared = spec.position_bias
    if declared is None:
        return
    if spec.examples.kind != "impressions":
        problems.add(
            ("position_bias", "type"), f"found {declared.type!r}, but snapshots have no positions; leave it out"
        )
        return
    wrong = list(position_bias_problems(declared, spec.ranker))
    for key, text in wrong:
        problems.add(("position_bias", *key), text)
    known = [part.name for part in spec.attributes if part.entity == "request" and part.type in {"text", "boolean"}]
    for index, name in enumerate(() if wrong else layout_of(declared)):
        place = ("position_bias", "layout", index)
        if not known:
            problems.add(place, f"found {name!r}, but the source declares no text or boolean of requests; leave it out")
        elif name not in known:
            problems.unknown(place, "text or boolean of requests", name, known)


def _check_rerank(spec: Spec, problems: _Problems) -> None:
    kinds = [part.name for part in spec.attributes if part.entity == "item" and part.type in {"text", "list"}]
    for index, text in exploration_problems(spec.rerank):
        problems.add(("rerank", index, "type"), text)
    coded = {feature.name for feature in spec.attribute_features if isinstance(feature, CategoryFeature)}
    numbers = [name for name in spec.features if name not in coded]
    for index, rule in enumerate(spec.rerank):
        if isinstance(rule, Discount) and rule.by not in numbers:
            problems.unknown(("rerank", index, "by"), "number among `features`", rule.by, numbers)
        if not isinstance(rule, Diversify):
            continue
        if rule.by not in kinds:
            problems.unknown(("rerank", index, "by"), "text or list attribute of items", rule.by, kinds)
        elif rule.by in [other.by for other in diversify_rules(spec.rerank[:index])]:
            problems.add(("rerank", index, "by"), f"{rule.by!r} is listed twice; expected one rule with both strengths")


def _check_tune(spec: Spec, problems: _Problems) -> None:
    for place, text in tune_problems(spec):
        problems.add(place, text)


def _check_twice(spec: Spec, problems: _Problems) -> None:
    lists: dict[tuple[str, ...], tuple[str, ...]] = {
        ("features",): spec.features,
        ("sample", "strata"): spec.sample.strata,
        ("evaluate", "metrics"): spec.evaluate.metrics,
        ("evaluate", "baselines"): spec.evaluate.baselines,
        ("evaluate", "slices"): spec.evaluate.slices,
    }
    for place, names in lists.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                problems.add((*place, index), f"{name!r} is listed twice")


def _check_metrics(spec: Spec, problems: _Problems) -> None:
    places = [(("evaluate", "metrics", i), name) for i, name in enumerate(spec.evaluate.metrics)]
    if spec.tune is not None:
        places.append((("tune", "metric"), spec.tune.metric))  # type: ignore[arg-type]
        if spec.tune.retrieval is not None:
            places.append((("tune", "retrieval", "metric"), spec.tune.retrieval.metric))  # type: ignore[arg-type]
    for location, name in places:
        try:
            parse_metric(name)
        except MetricError as error:
            problems.add(location, str(error))
    for index, name in enumerate(spec.evaluate.baselines):
        if name == FORMER_LOGGED_ORDER:
            problems.add(("evaluate", "baselines", index), RENAMED_LOGGED_ORDER)
        elif name not in baseline_names(spec):
            problems.unknown(("evaluate", "baselines", index), "baseline", name, baseline_names(spec))


def _check_acknowledged(spec: Spec, problems: _Problems) -> None:
    for name in spec.evaluate.acknowledged:
        if name not in spec.features:
            problems.unknown(("evaluate", "acknowledged", name), "feature of this pipeline", name, spec.features)


def _check_gates(spec: Spec, problems: _Problems) -> None:
    for index, gate in enumerate(spec.gates):
        if gate.metric not in spec.evaluate.metrics:
            problems.add(
                ("gates", index, "metric"),
                f"the metric {gate.metric!r} is not computed; expected one of `evaluate.metrics`: "
                + ", ".join(spec.evaluate.metrics) + nearest(gate.metric, spec.evaluate.metrics),
            )  # fmt: skip
        key = "beats" if isinstance(gate, BeatsGate) else "not_worse_than"
        against = gate.contender
        known = [*spec.evaluate.baselines, BEST_FEATURE, CHAMPION if key == "not_worse_than" else BEST_BASELINE]
        if against == FORMER_LOGGED_ORDER:
            problems.add(("gates", index, key), RENAMED_LOGGED_ORDER)
        elif against == BEST_BASELINE and not spec.evaluate.baselines:
            problems.add(
                ("gates", index, key),
                f"found {BEST_BASELINE!r}, but `evaluate.baselines` is empty; name at least one there",
            )
        elif against not in known:
            problems.unknown(("gates", index, key), "contender", against, known)


def _check_windows(spec: Spec, problems: _Problems) -> None:
    if isinstance(spec.examples, SnapshotExamples):
        every, horizon = spec.examples.every, spec.label.horizon
        for key in ("validation", "test"):
            length = getattr(spec.examples, key)
            if length > every and every < horizon:
                problems.add(
                    ("examples", key),
                    f"overlapping windows: {length}d hold several cuts {every}d apart, whose label windows of "
                    f"{horizon}d overlap, so that one action would be counted twice; expected at most {every}d",
                )
            if 0 < length < every:
                problems.add(
                    ("examples", key),
                    f"{length}d can miss every cut, which are {every}d apart; expected {every}d",
                )
    try:
        first = first_as_of(spec)
    except SpecError as error:
        problems.add(("examples",), str(error))
        return
    # If the data ends before the windows are full, no run of the DAG could ever succeed.
    if spec.end is not None and first > spec.end:
        problems.add(
            ("end",),
            f"found {spec.end}, but the first day that can be run is {first} ({why_first(spec)}); expected a later "
            "end, or shorter windows in `examples`",
        )


def _check_keep(spec: Spec, problems: _Problems) -> None:
    if spec.keep.retrieval is None:
        return
    try:
        back = oldest_cut(spec).days + (0 if spec.tune is None or spec.tune.retune is None else spec.tune.retune - 1)
    except SpecError:
        return  # named by `_check_windows`
    # A day is run when it is over, so that all of its cuts are a day older by then.
    if spec.keep.retrieval <= back:
        problems.add(
            ("keep", "retrieval"),
            f"found {spec.keep.retrieval}d, expected at least {back + 1}d: the windows of `examples` begin {back} days "
            "before a run's day, and each run would make again what `matinee gc` removed",
        )


def _check_monitor(spec: Spec, problems: _Problems) -> None:
    for name in spec.monitor.acknowledged:
        if name not in spec.features:
            problems.unknown(("monitor", "acknowledged", name), "feature of this pipeline", name, spec.features)
    examples = spec.examples
    if spec.monitor.reference == "same_weekday" and isinstance(examples, SnapshotExamples) and examples.every % 7:
        problems.add(
            ("monitor", "reference"),
            f"found 'same_weekday', but cuts {examples.every}d apart fall on other weekdays; expected 'train', or an "
            "`every` of whole weeks",
        )
