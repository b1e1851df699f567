"""Pages of the simulated service with a strong position bias, as examples, and what their items are really worth.

Members, titles and what they like are the simulator's (`tasks.sources.simulation`). Where titles stand is not: a policy
orders them by a score that knows little of taste, and the first is always looked at, position p with the probability
1/p. Features are what a pipeline would know: parts of the appeal through noise, and the policy's score, which tells
where a title stood, and little else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.streaming import ndcg
from tasks.examples.arrays import matrix
from tasks.sources.simulation.logging_policy import PAGE, POLICIES, draw_pages
from tasks.sources.simulation.service import finish_probability, play_probability
from tasks.sources.simulation.world import LOCAL_BONUS, World, build_world
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tasks.spec.spec import Spec
from tasks.training.rankers import train_ranker

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
FEATURES = ("policy_score", "freshness", "latent_match", "category_taste", "quality", "is_comfort", "is_local")
DAY = 30
UNIFORM = 1
"""The policy that draws pages at random, by its place in `POLICIES`."""
JUDGED, JUDGED_ITEMS = 400, 60
"""Members whose true lists a model is measured by, and titles of each."""
ROUNDS = 80
SHARPNESS, KNOWS, EXPLORATION = 4.0, 0.3, 0.3
"""Of the logging policy: how much its score decides, how much of taste is in it, its share of random choices."""


def spec_of(**changes: object) -> Spec:
    """The bundled pipeline with the features of these examples, and changes."""
    whole = load_spec(pipeline_path("streaming"))
    # None of the features is a column of a mart, so none of them is looked up there.
    made = whole.model_copy(update={"features": FEATURES, "resolved_features": ()})
    document = {key: value for key, value in changes.items() if key != "objective"}
    ranker = whole.ranker.model_copy(update={"rounds": ROUNDS, "objective": changes.get("objective", "lambdarank")})
    typed = Spec.model_validate({**whole.canonical(), **document})
    return made.model_copy(update={"ranker": ranker, "position_bias": typed.position_bias})


def examination(positions: npt.ArrayLike) -> Floats:
    """Probability that a member looks at a position, from 1."""
    result: Floats = 1.0 / np.asarray(positions, dtype=np.float64)
    return result


@dataclass(frozen=True, eq=False)
class Service:
    """A world, and the noise that features see it through: (users, items) where it is of both."""

    world: World
    latent: Floats
    taste: Floats
    quality: Floats
    policy: Floats
    known_comfort: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, users: int, items: int, seed: int) -> Service:
        """Draw the world of a seed, and the noise."""
        rng = np.random.default_rng([seed, 1])
        return cls(
            build_world(users, items, seed),
            rng.normal(0.0, 0.6, (users, items)),
            rng.normal(0.0, 0.6, (users, items)),
            rng.normal(0.0, 0.6, items),
            rng.normal(0.0, 1.0, (users, items)),
            rng.random((users, items)) < 0.7,
        )

    def policy_score(self, users: Ints) -> Floats:
        """What the logging policy orders titles by: its opinion, and a little of the member's taste."""
        taste = self.world.members.taste[users] @ self.world.titles.mix.T
        result: Floats = KNOWS * taste + self.policy[users]
        return result

    def policy_weights(self, users: Ints, uniform: npt.NDArray[np.bool_]) -> Floats:
        """Plackett-Luce weights of all titles; `uniform` marks the pages that are drawn at random."""
        released = self.world.titles.released <= DAY
        weights = np.exp(SHARPNESS * self.policy_score(users)) * released
        mixed = (1.0 - EXPLORATION) * weights / weights.sum(axis=1, keepdims=True)
        mixed += EXPLORATION * released / released.sum()
        result: Floats = np.where(uniform[:, None], released.astype(np.float64), mixed)
        return result

    def features(self, users: Ints) -> Floats:
        """What is known of members and all titles: (users, titles, features)."""
        world, members, titles = self.world, self.world.members, self.world.titles
        region = world.regions(users, DAY)
        taste = (world.region_taste[region] + members.taste[users]) @ titles.mix.T
        score = self.policy_score(users)
        comfort = np.zeros(score.shape, dtype=np.bool_)
        comfort[np.arange(len(users))[:, None], members.comfort[users]] = True
        columns = (
            score,
            np.broadcast_to(world.freshness(DAY), score.shape),
            members.latent[users] @ titles.latent.T + self.latent[users],
            taste + self.taste[users],
            np.broadcast_to(titles.quality + self.quality, score.shape),
            comfort & self.known_comfort[users],
            LOCAL_BONUS * (region[:, None] == titles.origin),
        )
        return np.stack([column.astype(np.float64) for column in columns], axis=2)

    def relevance(self, users: Ints) -> Floats:
        """The true relevance of all titles: P(plays to the end | looks at it); 0 before the release."""
        appeal = self.world.appeal(users, DAY)
        released = self.world.titles.released <= DAY
        result: Floats = play_probability(appeal) * finish_probability(appeal) * released
        return result

    def pages(self, lists: int, uniform: float, rng: np.random.Generator) -> pa.Table:
        """Draw pages and what members play of them, until so many have a play; the others teach a ranker nothing.

        Args:
            lists: pages with a play.
            uniform: share of the pages that are drawn at random.
            rng: random generator.
        """
        parts: list[pa.Table] = []
        missing = lists
        while missing > 0:
            parts.append(self._drawn(uniform, len(parts), rng))
            groups = parts[-1].num_rows // PAGE
            parts[-1] = parts[-1].slice(0, min(groups, missing) * PAGE)
            missing -= groups
        return pa.concat_tables(parts)

    def _drawn(self, uniform: float, number: int, rng: np.random.Generator) -> pa.Table:
        users = rng.integers(0, len(self.world.members.joined), 1000)
        policy = (rng.random(len(users)) < uniform).astype(np.int64)
        titles, propensity = draw_pages(self.policy_weights(users, policy == UNIFORM), PAGE, rng)
        chance = np.take_along_axis(play_probability(self.world.appeal(users, DAY)), titles, 1)
        positions = np.arange(1, PAGE + 1)
        played = rng.random(titles.shape) < chance * examination(positions)
        kept = played.any(axis=1)
        shown = np.take_along_axis(self.features(users), titles[:, :, None], 1)[kept].reshape(-1, len(FEATURES))
        ids = np.char.add(f"{number}-", np.flatnonzero(kept).astype(str))
        return pa.table(
            {
                "group_id": np.repeat(ids, PAGE),
                "user_id": np.repeat(users[kept].astype(str), PAGE),
                "item_id": titles[kept].ravel().astype(str),
                "grade": played[kept].ravel().astype(np.int8),
                "position": np.tile(positions, len(ids)).astype(np.int32),
                "propensity": propensity[kept].ravel(),
                "policy": np.repeat(np.array(POLICIES)[policy[kept]], PAGE),
                "weight": np.ones(len(ids) * PAGE),
                **{name: shown[:, n].astype(np.float32) for n, name in enumerate(FEATURES)},
            }
        )

    def judged(self, rng: np.random.Generator) -> tuple[pa.Table, Floats, Ints]:
        """Draw lists of titles, whoever showed them or not: their features, true relevance and offsets."""
        users = rng.integers(0, len(self.world.members.joined), JUDGED)
        released = np.flatnonzero(self.world.titles.released <= DAY)
        titles = np.stack([rng.permutation(released)[:JUDGED_ITEMS] for _ in users])
        shown = np.take_along_axis(self.features(users), titles[:, :, None], 1).reshape(-1, len(FEATURES))
        truth = np.take_along_axis(self.relevance(users), titles, 1).ravel()
        table = pa.table({name: shown[:, n].astype(np.float32) for n, name in enumerate(FEATURES)})
        return table, truth, np.arange(0, len(truth) + 1, titles.shape[1])


def true_value(spec: Spec, train: pa.Table, judged: tuple[pa.Table, Floats, Ints]) -> float:
    """Train, and measure the NDCG@10 of the lists by true relevance."""
    table, truth, offsets = judged
    scores = train_ranker(train, spec, spec.ranker).scorer().predict(matrix(table, FEATURES))
    return float(np.nanmean(ndcg(scores, truth, offsets)))
