"""The SQL of the steps `retrieve` and `sample`: one function for each statement in `sql/`, with its parameters.

One statement makes the examples of every pipeline: candidates ⟕ features ⟕ labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tasks.examples.arrays import UNKNOWN
from tasks.features.warehouse import Tables
from tasks.spec.feature_catalog import KEYS, MARTS, ON_DEMAND_MARTS, MartFeature
from tasks.spec.resolved_features import Feature
from tasks.spec.spec import Spec
from tasks.spec.windows import LONGEST_FEATURE_WINDOW, labels_lookback
from tasks.store.sql import render

_sql = partial(render, Path(__file__).parent / "sql")
_KEY_COLUMNS = {"user_id": "chosen.user_id", "item_id": "chosen.item_id", "category": "feat_items.category"}


class Value(NamedTuple):
    """A column of the examples: where its value comes from, and what stands where there is none."""

    name: str
    relation: str
    default: float


@dataclass(frozen=True)
class Mart:
    """A mart to join: what stands after `join`, and its keys with the columns that they equal."""

    name: str
    rows: str
    joined_by: tuple[tuple[str, str], ...]


def attribute_columns(spec: Spec) -> list[str]:
    """User attributes that the examples carry: strata, slices and what splits the populations."""
    by = [spec.populations.by] if spec.populations else []
    return list(dict.fromkeys([*spec.sample.strata, *by, *spec.evaluate.slices]))


def groups(spec: Spec) -> str:
    """Query the groups of the relation `candidates`."""
    return _sql("groups", attributes=attribute_columns(spec), unknown=UNKNOWN, attributed=_attributed(spec))


def _attributed(spec: Spec) -> bool:
    """Whether a label belongs to one impression, or to every example of its pair."""
    return spec.label.attribution_minutes is not None


def strata(spec: Spec, cuts: Sequence[date]) -> str:
    """Query the groups there are to draw from, by stratum."""
    return _sql("strata", strata=spec.sample.strata, cuts=cuts)


def draw(spec: Spec, sizes: str, cuts: Sequence[date]) -> str:
    """Query the groups that are drawn, given a relation of strata with `available` and `size`."""
    return _sql("draw", strata=spec.sample.strata, sizes=sizes, cuts=cuts, seed=int(spec.sample.seed))


def truth(spec: Spec, cuts: Sequence[date]) -> str:
    """Query what snapshot cuts should have retrieved; the relation `seen_labels` says what of it was seen."""
    attributes, rule = attribute_columns(spec), spec.candidates.seen
    return _sql("truth", attributes=attributes, unknown=UNKNOWN, cuts=cuts, rule=rule)


def seen_pairs(cut: date) -> str:
    """Query all that users have seen as of a cut: every pair with an interaction, as known by then."""
    return _sql("seen_pairs", cut=cut)


def seen_among(spec: Spec, pairs: str, cuts: Sequence[date]) -> str:
    """Query those pairs of a relation (user_id, item_id, cut) that were seen as of their cut.

    Without a rule for them, only what happened within the longest window of the features counts: no more is landed for
    sure, and another run may have landed more.
    """
    days = LONGEST_FEATURE_WINDOW.days if spec.candidates.seen == "keep" else 0
    return _sql("seen_among", pairs=pairs, cuts=cuts, days=days)


def judged(spec: Spec, cuts: Sequence[date]) -> str:
    """Query the groups that a model is evaluated on."""
    return _sql("judged", snapshots=spec.examples.kind == "snapshots", cuts=cuts)


def populations(attribute: str) -> str:
    """Query the drawn groups by population."""
    return _sql("populations", attribute=attribute)


def repeats(cuts: Sequence[date]) -> str:
    """Query how many relevant pairs of some cuts there are, and how many are in the relation `seen_labels`."""
    return _sql("repeats", cuts=cuts)


def examples(spec: Spec, drawn: str, cuts: Sequence[date], tables: type[Tables], *, seen: str | None = None) -> str:
    """Query the examples of the groups that a relation (group_id, cut, weight) names.

    Args:
        spec: the pipeline.
        drawn: the relation.
        cuts: only these.
        tables: the engine's class, which says how it reads on-demand marts.
        seen: the relation of candidates that were seen, if a column is to say so.
    """
    # Scores and ranks that are no features are baselines of the evaluation, so they come along.
    baselines = [feature for feature in spec.retrieval_features if feature not in spec.resolved_features]
    values = [_value(feature) for feature in (*spec.resolved_features, *baselines)]
    marts = _marts((value.relation for value in values), tables)
    return _sql(
        "examples",
        drawn=drawn,
        cuts=cuts,
        attributes=attribute_columns(spec),
        values=values,
        marts=marts,
        attributed=_attributed(spec),
        seen=seen,
    )


def feature_values(features: Sequence[MartFeature], asked: str, tables: type[Tables]) -> str:
    """Query the values of some features exactly as examples get them.

    Args:
        features: columns of marts.
        asked: a relation (user_id, item_id, cut, place).
        tables: the engine's class.
    """
    values = [_value(feature) for feature in features]
    return _sql("feature_values", asked=asked, values=values, marts=_marts((v.relation for v in values), tables))


def _value(feature: Feature) -> Value:
    if isinstance(feature, MartFeature):
        return Value(feature.name, feature.mart, feature.default)
    return Value(feature.name, "chosen", 0)


def _marts(relations: Iterable[str], tables: type[Tables]) -> list[Mart]:
    used = set(relations)
    if "feat_user_categories" in used:
        used.add("feat_items")  # it knows the category of the item, by which the other is joined
    return [
        Mart(
            mart,
            f"{mart}_at('points')" if mart in ON_DEMAND_MARTS and tables.TABLE_MACROS else mart,
            tuple((key, _KEY_COLUMNS[key]) for key in KEYS[entity]),
        )
        for mart, entity in MARTS.items()
        if mart in used
    ]


def past_actions(cut: date) -> str:
    """Query the actions of the year up to a cut."""
    return _sql("past_actions", cut=cut, first=cut - LONGEST_FEATURE_WINDOW)


def known_items(cut: date) -> str:
    """Query the items known as of a cut, with their features."""
    return _sql("known_items", cut=cut)


def active_users(cut: date) -> str:
    """Query the users who get a list at a snapshot cut."""
    return _sql("active_users", cut=cut)


def shown(spec: Spec, cut: date) -> str:
    """Query what was shown on the day after a cut."""
    day = timedelta(days=1)
    return _sql("shown", cut=cut, first=cut + day, last=cut + 2 * day, complete=cut + spec.lag)


def rule_counts(spec: Spec, cuts: Sequence[date], *, of_candidates: bool) -> str:
    """Query how many pairs, or candidates, each set of label rules matches."""
    return _sql("rule_counts", cuts=cuts, of_candidates=of_candidates, attributed=_attributed(spec))


def rule_pairs(spec: Spec, cuts: Sequence[date], number: int) -> str:
    """Query some pairs that each label rule decides, with the interactions that the rule saw of them."""
    return _sql(
        "rule_pairs",
        cuts=cuts,
        number=number,
        back=labels_lookback(spec).days,
        horizon=spec.label.horizon,
        lag=spec.lag.days,
    )
