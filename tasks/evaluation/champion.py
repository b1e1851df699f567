"""The champion as of a run's day, scored on the run's test examples by the engine's own trees.

The champion as of D is the version with the latest as-of day before D in the timeline of the pipeline's alias: never
the run's own day, never what happens to be live today. It may have been trained on some of the run's test cuts; those
groups are left out of the comparison. Where it cannot be compared fairly, `problem` says why, and a gate on it fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from engine.errors import EngineError
from engine.evaluation import CHAMPION, EVERYBODY
from tasks.errors import MatineeError, first_line
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.results import ChampionResult
from tasks.examples.candidates import chosen_spec
from tasks.examples.rerank import kinds_read
from tasks.examples.sample import read_categories
from tasks.runs.narration import say, warn
from tasks.spec.feedback.exploration import Rule
from tasks.spec.parts import BeatsGate, NotWorseGate
from tasks.spec.resolved_features import RetrievalFeature, RetrievalRank
from tasks.spec.retrieval import Retrieval
from tasks.spec.retrievals.blend import BlendRetrieval
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.store.registry import version_dir
from tasks.store.timeline import TimelineEvent, content_of, timeline

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from engine.descriptor import Descriptor
    from engine.node_schema import ScoringRankerNode
    from tasks.runs.run import Run


class _Incomparable(MatineeError):  # noqa: N818 - says what is wrong
    """Why the champion can't be compared."""


@dataclass(frozen=True, eq=False)
class Champion:
    """What is known of the champion: its version, or why there are no scores.

    `scores` has one for each example, in the order of its final lists; only groups of cuts from `since` on are new to
    it.
    """

    version: str | None
    scores: npt.NDArray[np.float64] | None = None
    since: date | None = None
    problem: str | None = None

    def record(self) -> ChampionResult:
        """Keep what the gates and the pages need to know."""
        return ChampionResult(version=self.version, since=self.since, problem=self.problem)


def say_champion(champion: Champion, as_of: date, without: str) -> None:
    """Say which version is compared with, or why none is.

    Args:
        champion: as it was found.
        as_of: the run's day.
        without: what follows where there is none to compare with.
    """
    if champion.version is None:
        warn("no champion before {day}: {_without}", day=as_of, _without=without)
    elif champion.problem is not None:
        warn("the champion {version} cannot be compared: {why}", version=champion.version, why=champion.problem)
    else:
        say("the champion is {version}; new to it are cuts from {since} on", version=champion.version,
            since=champion.since)  # fmt: skip


def has_champion_gate(spec: Spec) -> bool:
    """Whether a pipeline has a gate that compares with the champion."""
    return any(against_champion(gate) for gate in spec.gates)


def against_champion(gate: BeatsGate | NotWorseGate) -> bool:
    """Whether a gate compares with the champion."""
    return isinstance(gate, NotWorseGate) and gate.not_worse_than == CHAMPION


def champion_before(run: Run) -> str | None:
    """Find the version that was champion when the run's day began, by as-of days alone; None if there was none."""
    # Not of the day itself: it may have run before, and its version would be compared with itself.
    before = [event for day, event in champion_by_day(run.home, run.spec).items() if day < run.as_of]
    return before[-1].version if before else None


def valid_versions(home: Home, spec: Spec) -> list[TimelineEvent]:
    """List the last event of each version that is not withdrawn, by as-of day; of one day, the latest comes last.

    A version that an earlier landing or pipeline file made comes last again when its day is run with those again.
    """
    last: dict[str, TimelineEvent] = {}
    for event in timeline(home, spec.name):
        if event.alias == spec.publish.alias:
            last.pop(event.version, None)  # or the version would keep its first place in the dict
            last[event.version] = event
    # A stable sort: of one day the latest event stays last, and is the one that `champion_by_day` keeps.
    return sorted((event for event in last.values() if not event.withdrawn), key=lambda event: event.as_of)


def champion_by_day(home: Home, spec: Spec) -> dict[date, TimelineEvent]:
    """Map each as-of day to the event of the version that is champion after it."""
    return {event.as_of: event for event in valid_versions(home, spec)}


def outdated_verdicts(home: Home, spec: Spec) -> list[date]:
    """List the days whose version was compared with a champion that is no longer the one before it.

    An earlier day has been filled in, or evaluated again, since. Running such a day again settles it: its version stays
    what it is, and is compared anew.
    """
    if not has_champion_gate(spec):
        return []
    outdated, champion = [], None
    for as_of, event in champion_by_day(home, spec).items():
        if event.champion != champion:
            outdated.append(as_of)
        champion = event.version
    return outdated


def champion_of(lists: FinalLists) -> Champion:
    """Score a run's test examples with the champion as of its day, if some of their cuts are new to it."""
    champion = champion_scores(lists)
    if champion.since is not None and not any(cut >= champion.since for cut in lists.run.windows.test):
        return Champion(
            champion.version, problem=f"it was trained on labels up to {champion.since}, later than every test cut"
        )
    return champion


def champion_scores(lists: FinalLists) -> Champion:
    """Score examples with the champion as of the run's day, whether it was trained on them or not."""
    from engine.descriptor import check_artifacts, read_descriptor

    run = lists.run
    version = champion_before(run)
    if version is None:
        return Champion(None)
    folder = version_dir(run.home, run.spec.name, version)
    try:
        descriptor = read_descriptor(folder)
        check_artifacts(folder, descriptor, content_of(run.home, run.spec.name, version))
        recoded = _in_its_codes(run, descriptor, folder, lists.table)
        ours = chosen_spec(run)
        scores, rules = _scores(ours, descriptor, folder, recoded), _rules_of(ours, descriptor)
        return Champion(version, lists.rank(scores, rules).final, _new_since(descriptor))
    # A damaged champion is no error of this run: its gate fails, and says why.
    except (_Incomparable, EngineError) as error:
        return Champion(version, problem=str(error))


def _in_its_codes(run: Run, descriptor: Descriptor, folder: Path, table: pa.Table) -> pa.Table:
    """Give the texts of the run's examples the codes of the champion's dictionary, in place of the run's own."""
    import numpy as np
    import pyarrow as pa

    from engine.categories import categories_of, load_categories
    from engine.node_schema import CategoryNode, RequestCategoryNode, ScoringRankerNode

    rankers = [*descriptor.rankers.values(), *([descriptor.ranker] if not descriptor.rankers else [])]
    features = {
        feature.name: feature
        for ranker in rankers
        if isinstance(ranker, ScoringRankerNode)
        for feature in ranker.scorer.features
    }
    ours = read_categories(run)
    for name, node in features.items():
        is_category = isinstance(node, CategoryNode | RequestCategoryNode)
        if is_category != (name in ours) and name in table.column_names:
            raise _Incomparable(f"its feature {name} is of another type than this run's")
        if isinstance(node, CategoryNode | RequestCategoryNode) and name in ours:
            path = folder / node.categories_artifact
            theirs = categories_of(load_categories(path), name, path)
            codes = np.array([*(theirs.code(text) for text in ours[name]), np.nan], dtype=np.float32)
            column = np.nan_to_num(table[name].to_numpy(), nan=len(ours[name])).astype(np.int64)
            recoded = pa.array(codes[column], from_pandas=True)
            table = table.set_column(table.column_names.index(name), name, recoded)
    return table


def _new_since(descriptor: Descriptor) -> date:
    """Find the first cut whose labels lie after all those that a version was trained on."""
    from tasks.spec.windows import windows

    spec = _spec_of(descriptor)
    theirs = windows(spec, descriptor.as_of)
    # Without a validation window the last training cut is the last one whose labels the model has seen.
    last = (theirs.refit if spec.publish.refit else theirs.validation or theirs.train)[-1]
    return last + timedelta(days=spec.label.horizon)


def _spec_of(descriptor: Descriptor) -> Spec:
    try:
        declared: Any = descriptor.lineage["spec"]
        chosen = descriptor.lineage.get("retrieval")
        return Spec.model_validate(declared if chosen is None else {**declared, "retrieval": chosen})
    except (KeyError, ValueError) as error:
        raise _Incomparable(
            f"its pipeline file is not one that this version of matinee reads ({first_line(error)})"
        ) from None


def _scores(spec: Spec, descriptor: Descriptor, folder: Path, table: pa.Table) -> npt.NDArray[np.float64]:
    import numpy as np

    from engine.node_schema import PopulationRankerNode

    node = descriptor.ranker
    if not isinstance(node, PopulationRankerNode):
        return _predict(spec, descriptor, node, folder, table)
    _require([node.by], table, "attribute")
    column = table[node.by].to_numpy(zero_copy_only=False)
    populations = np.where(np.isin(column, list(node.of)), column, EVERYBODY)
    scores = np.zeros(table.num_rows)
    for name in sorted(set(populations)):
        mask = populations == name
        scores[mask] = _predict(spec, descriptor, descriptor.rankers[node.of[name].target], folder, table.filter(mask))
    return scores


def _predict(
    spec: Spec, descriptor: Descriptor, ranker: ScoringRankerNode, folder: Path, table: pa.Table
) -> npt.NDArray[np.float64]:
    from engine.functions.load import load_function
    from tasks.examples.arrays import matrix

    names = [feature.name for feature in ranker.scorer.features]
    _require(names, table, "feature")
    _same_retrieval(spec, _spec_of(descriptor), names)
    return load_function(ranker.scorer.function, folder, names).predict(matrix(table, names))


def _rules_of(ours: Spec, descriptor: Descriptor) -> Sequence[Rule]:
    """The rules by which the champion's lists are re-ranked, if this run knows what they read."""
    rules = _spec_of(descriptor).rerank
    missing = sorted({*kinds_read(rules)} - {*kinds_read(ours.rerank)})
    if missing:
        raise _Incomparable(
            f"its lists are re-ranked by {', '.join(missing)}, which this run does not read; add a rule to `rerank` "
            "for as long as the two are to be compared, if only of strength 0"
        )
    return rules


def _require(names: Iterable[str], table: pa.Table, what: str) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise _Incomparable(
            f"it uses the {what} {', '.join(missing)}, which this run's examples don't have; add it to the pipeline "
            "file for as long as the two are to be compared"
        )


def _blended(spec: Spec, feature: RetrievalFeature) -> list[Retrieval]:
    """What the retrieval behind a feature is a blend of; nothing where it is none."""
    of = feature.retrieval.of if isinstance(feature.retrieval, BlendRetrieval) else ()
    names = {part.retrieval for part in of}
    return [part for part in spec.retrieval if part.identity in names]


def _same_retrieval(ours: Spec, theirs: Spec, names: Iterable[str]) -> None:
    """Raise for scores of the same name that come from another retrieval model."""
    of_ours, of_theirs = ({feature.name: feature for feature in spec.retrieval_features} for spec in (ours, theirs))
    for name in names:
        used = of_theirs.get(name)  # None: a column of a mart
        if used is not None and (used != of_ours.get(name) or _blended(theirs, used) != _blended(ours, used)):
            raise _Incomparable(
                f"its feature {name} comes from other settings of the retrieval {used.retrieval.identity}"
            )
        if isinstance(used, RetrievalRank) and theirs.candidates != ours.candidates:
            raise _Incomparable(
                f"its feature {name} is a place among candidates of another rule for seen items, "
                f"`candidates: {{seen: {theirs.candidates.seen}}}`"
            )
