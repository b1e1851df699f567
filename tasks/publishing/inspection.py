"""What a published version learned: features by contribution, items explained, neighbors of items, dependence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.errors import WrongArgument, quoted
from tasks.publishing.rank import load_version, user_request
from tasks.publishing.retriever_inspection import (
    RetrieverSummary,
    SimilarItems,
    item_number,
    similar_items,
    summarize,
)
from tasks.publishing.tree_inspection import ShownTrees, describe, shown_trees
from tasks.spec.yaml_lines import nearest
from tasks.store.files import digest
from tasks.store.records import Record

if TYPE_CHECKING:
    from engine.arrays import Floats, Singles
    from engine.descriptor import Request
    from engine.nodes import FeatureScorer
    from engine.ranking import Engine

USERS, MOST_ROWS, BACKGROUND = 50, 200, 32
"""Users whose lists are looked at; of their candidates, how many are explained, and how many are typical rows."""
LONGEST, SEED, GRID = 1_000, 0, 12


class Question(NamedTuple):
    """What is asked of a version beside its summary.

    Attributes:
        user: whose list is explained; with `item`, that item alone.
        item: without `user`, the one whose likes are asked for.
        feature: that scores depend on.
        k: items of the user's list.
        trees: trees of each model that are shown.
    """

    user: str | None = None
    item: str | None = None
    feature: str | None = None
    k: int = 5
    trees: int | None = None

    @property
    def is_summary(self) -> bool:
        """Whether nothing but the summary is asked for."""
        return self.user is None and self.item is None and self.feature is None and self.trees is None


class FeatureWeight(Record):
    """What a feature contributes.

    Attributes:
        feature: its name.
        mean: mean absolute contribution to a score, in units of the score.
        share: of the sum over all features.
        direction: correlation of value and contribution: near 1, higher values rank higher; null if either is constant.
    """

    feature: str
    mean: float
    share: float
    direction: float | None


class PopulationSummary(Record):
    """The ranker of a population: what its function is, and what each feature contributes, the most first."""

    population: str
    function: str
    users: int
    rows: int
    features: tuple[FeatureWeight, ...]


class Contribution(Record):
    """Part of an item's score; `value` is null where the feature is missing."""

    feature: str
    value: float | None
    contribution: float


class ExplainedItem(Record):
    """An item of a user's list: `score` = `base` of the list + the sum of all contributions."""

    item: str
    title: str
    score: float
    contributions: tuple[Contribution, ...]


class ExplainedList(Record):
    """A user's list; `base` is the mean score of typical candidates."""

    user: str
    population: str
    base: float
    items: tuple[ExplainedItem, ...]


class DependencePoint(Record):
    """The mean score of typical candidates if all had a value."""

    value: float
    score: float


class Dependence(Record):
    """How scores depend on a feature, by population."""

    feature: str
    population: str
    points: tuple[DependencePoint, ...]


class Inspection(Record):
    """Answer of `inspect`: the summary, populations and retrievers, or what else was asked for."""

    pipeline: str
    version: str
    populations: tuple[PopulationSummary, ...] = ()
    retrievers: tuple[RetrieverSummary, ...] = ()
    explained: ExplainedList | None = None
    similar: tuple[SimilarItems, ...] = ()
    dependence: tuple[Dependence, ...] = ()
    trees: tuple[ShownTrees, ...] = ()


class Sampled(NamedTuple):
    """Candidates of some users of a population: (rows, features), and how many users they are of."""

    scorer: FeatureScorer
    matrix: Singles
    users: int

    def spread(self, most: int) -> Singles:
        """Up to `most` of the rows, evenly spread."""
        import numpy as np

        rows = len(self.matrix)
        return self.matrix[np.linspace(0, rows - 1, min(most, rows)).round().astype(np.int64)]


def inspect_version(pipeline: str, version: str | None, question: Question) -> Inspection:
    """Look into a published version; the champion if none is named.

    Raises:
        WrongArgument: it has no such feature, item or version.
        RegistryError: nothing is published.
    """
    return inspect_engine(*load_version(pipeline, version), question)


def inspect_engine(engine: Engine, folder: Path, question: Question) -> Inspection:
    """Look into the version that an engine has loaded from a folder."""
    pipeline, version = engine.descriptor.pipeline, engine.descriptor.version
    sampled = sample_candidates(engine)
    if question.is_summary:
        populations = tuple(_summary(name, own) for name, own in sampled.items())
        retrievers = summarize(engine, folder)
        return Inspection(pipeline=pipeline, version=version, populations=populations, retrievers=retrievers)
    return Inspection(
        pipeline=pipeline, version=version,
        explained=None if question.user is None else _explained(engine, sampled, question),
        similar=() if question.item is None or question.user is not None else similar_items(engine, question.item),
        dependence=() if question.feature is None else tuple(_dependence(sampled, question.feature)),
        trees=() if question.trees is None else shown_trees(engine, folder, question.trees),
    )  # fmt: skip


def sample_candidates(engine: Engine) -> dict[str, Sampled]:
    """The candidates of some users by population, those of its largest part first; the same for every call."""
    from engine.descriptor import Request

    users = engine.wiring.table("features/user.parquet", "user").users
    # By digest: an arbitrary choice, yet the same in whatever order the rows are.
    known = sorted(users.values.tolist(), key=digest)[:USERS] if users is not None else []
    requests = [Request(user_id=user, k=LONGEST) for user in known]
    requests = requests or [golden.request.model_copy(update={"k": LONGEST}) for golden in engine.descriptor.golden]
    names = engine.populations.of(requests)
    sampled = {}
    for name in sorted(set(names), key=lambda name: (-names.count(name), name)):
        ranker = engine.populations.rankers[name]
        own = [request for request, population in zip(requests, names, strict=True) if population == name]
        answers = ranker.rank(own, explain=True)
        if answers.features is not None and len(answers.features):
            sampled[name] = Sampled(ranker.scorer, answers.features, len(own))
    return sampled


def _summary(population: str, sampled: Sampled) -> PopulationSummary:
    import numpy as np

    from engine.contributions import contributions

    rows = sampled.spread(MOST_ROWS)
    parts = contributions(sampled.scorer.function, rows, sampled.spread(BACKGROUND), SEED)
    means = np.abs(parts).mean(axis=0)
    total = float(means.sum()) or 1.0
    features = [
        FeatureWeight(
            feature=name, mean=float(means[n]), share=float(means[n]) / total,
            direction=_direction(rows[:, n].astype(np.float64), parts[:, n]),
        )
        for n, name in enumerate(sampled.scorer.names)
    ]  # fmt: skip
    return PopulationSummary(
        population=population, function=describe(sampled.scorer.function), users=sampled.users, rows=len(rows),
        features=tuple(sorted(features, key=lambda one: (-one.mean, one.feature))),
    )  # fmt: skip


def _direction(values: Floats, parts: Floats) -> float | None:
    import numpy as np

    known = ~np.isnan(values)
    values, parts = values[known], parts[known]
    if len(values) < 2 or np.ptp(values) == 0 or np.ptp(parts) == 0:
        return None
    first, second = (np.unique(one, return_inverse=True)[1].astype(np.float64) for one in (values, parts))
    return float(np.corrcoef(first, second)[0, 1])


def _request(engine: Engine, question: Question) -> Request:
    """What is explained: the user's list, or one item.

    Raises:
        WrongArgument: the version can't show the item.
    """
    request = user_request(question.user or "", question.k)
    if question.item is None:
        return request
    known = item_number(engine, question.item)
    if not engine.wiring.catalogue.items.available[known]:
        raise WrongArgument(f"--item: {quoted(question.item)} is not available as of {engine.descriptor.as_of}")
    return request.model_copy(update={"candidates": (question.item,)})


def _explained(engine: Engine, sampled: dict[str, Sampled], question: Question) -> ExplainedList:
    import numpy as np

    from engine.contributions import contributions

    response, explanation = engine.explain(_request(engine, question))
    scorer = engine.populations.rankers[response.population].scorer
    # A population without a sampled user is explained beside what it is asked for.
    own = sampled.get(response.population, Sampled(scorer, explanation.values, 1))
    background = own.spread(BACKGROUND)
    base = float(scorer.function.predict(background).mean()) if len(background) else 0.0
    values = explanation.values
    parts = contributions(scorer.function, values, background, SEED) if len(values) else np.empty((0, 0))
    items = tuple(
        ExplainedItem(
            item=item, title=response.titles[n], score=response.scores[n],
            contributions=_strongest(scorer.names, values[n], parts[n]),
        )
        for n, item in enumerate(response.items)
    )  # fmt: skip
    return ExplainedList(user=question.user or "", population=response.population, base=base, items=items)


def _strongest(names: tuple[str, ...], values: Singles, parts: Floats) -> tuple[Contribution, ...]:
    order = sorted(range(len(names)), key=lambda n: (-abs(parts[n]), names[n]))
    return tuple(
        Contribution(
            feature=names[n],
            value=None if math.isnan(values[n]) else float(values[n]),
            contribution=float(parts[n]),
        )
        for n in order
        if parts[n] != 0
    )


def _dependence(sampled: dict[str, Sampled], feature: str) -> list[Dependence]:
    from engine.contributions import dependence, grid

    answers = []
    for population, own in sampled.items():
        names = own.scorer.names
        if feature not in names:
            raise WrongArgument(
                f"--feature: found {quoted(feature)}, expected one of the version's {len(names)} features"
                f"{nearest(feature, names)}"
            )
        column = names.index(feature)
        values = grid(own.matrix[:, column], GRID)
        scores = dependence(own.scorer.function, own.spread(MOST_ROWS), column, values)
        points = [DependencePoint(value=float(v), score=float(s)) for v, s in zip(values, scores, strict=True)]
        answers.append(Dependence(feature=feature, population=population, points=tuple(points)))
    return answers
