"""The SQL of the steps `retrieve` and `sample`: one function for each statement in `sql/`, with its parameters.

One statement makes the examples of every pipeline: candidates ⟕ features ⟕ labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from tasks.examples.arrays import UNKNOWN
from tasks.examples.feature_sql import (
    ATTRIBUTE_KEYS,
    Joined,
    Value,
    at_points,
    joined_from,
    served_column,
    served_items_column,
    served_value,
    split_by,
    value_of,
)
from tasks.examples.sampling.order import group_hash_sql
from tasks.features.warehouse import Tables
from tasks.spec.attributes import RELATIONS, Attribute
from tasks.spec.feature_catalog import KEYS, MARTS, Entity, MartFeature
from tasks.spec.feedback.position_bias import layout_of, reads_policy
from tasks.spec.kinds import PARTS_OF_1
from tasks.spec.resolved_features import (
    AttributeFeature,
    CategoryFeature,
    MatchFeature,
    OverlapFeature,
)
from tasks.spec.spec import Spec
from tasks.spec.windows import LONGEST_FEATURE_WINDOW, labels_lookback
from tasks.store.sql import identifier, render

_sql = partial(render, Path(__file__).parent / "sql")


def attribute_columns(spec: Spec) -> list[str]:
    """Names of the attributes that the examples carry: strata, slices, layouts and what splits the populations.

    Those of items are not among them: a group has many items (`top_items`, `tasks.examples.item_slices`).
    """
    by = [spec.populations.by] if spec.populations else []
    of_items = {attribute.name for attribute in spec.attributes if attribute.entity == "item"}
    names = dict.fromkeys([*spec.sample.strata, *by, *spec.evaluate.slices, *layout_of(spec.position_bias)])
    return [name for name in names if name not in of_items]


def _texts(spec: Spec) -> list[Value]:
    """Those attributes, each as a text of `candidates` or of the mart that has it."""
    known = {attribute.name: attribute for attribute in spec.attributes}
    return [
        Value(name, relation, f"cast({known[name].sql(relation)} as varchar)")
        for name in attribute_columns(spec)
        for relation in ["candidates" if known[name].entity == "request" else known[name].relation]
    ]


def top_items(spec: Spec) -> list[Value]:
    """The strata that are attributes of items, each as a text of the mart that has it."""
    known = {attribute.name: attribute for attribute in spec.attributes if attribute.entity == "item"}
    strata = [known[name] for name in spec.sample.strata if name in known]
    return [Value(part.name, part.relation, f"cast({part.sql(part.relation)} as varchar)") for part in strata]


def groups(spec: Spec, tables: type[Tables]) -> str:
    """Query the groups of the relation `candidates`."""
    texts, of_items = _texts(spec), top_items(spec)
    items = [
        Joined(mart, at_points(mart, tables) if mart == RELATIONS["item"] else mart, "")
        for mart in dict.fromkeys(text.relation for text in of_items)
    ]
    return _sql(
        "groups",
        group_hash=group_hash_sql("candidates"),
        texts=texts,
        of_items=of_items,
        item_marts=items,
        unknown=UNKNOWN,
        attributed=_attributed(spec),
        declared=_declared_users(texts, tables),
    )


def _attributed(spec: Spec) -> bool:
    """Whether a label belongs to one impression, or to every example of its pair."""
    return spec.label.attribution_minutes is not None


def truth(spec: Spec, cuts: Sequence[date], tables: type[Tables]) -> str:
    """Query what snapshot cuts should have retrieved; the relation `seen_labels` says what of it was seen."""
    texts = _texts(spec)
    return _sql(
        "truth",
        texts=texts,
        unknown=UNKNOWN,
        cuts=cuts,
        rule=spec.candidates.seen,
        declared=_declared_users(texts, tables),
    )


def _declared_users(texts: Iterable[Value], tables: type[Tables]) -> str | None:
    """What stands after `join` for the declared attributes of users; None where none of them is asked for."""
    mart = RELATIONS["user"]
    return at_points(mart, tables) if any(text.relation == mart for text in texts) else None


def seen_pairs(cut: date) -> str:
    """Query all that users have seen as of a cut: every pair with an interaction, as known by then."""
    return _sql("seen_pairs", cut=cut)


def seen_among(spec: Spec, pairs: str, cuts: Sequence[date]) -> str:
    """Query those pairs of a relation (user_id, item_id, cut) that were seen as of their cut.

    Without a rule for them, only what happened within the longest window of the features counts: no more is landed for
    sure, and another run may have landed more.
    """
    days = LONGEST_FEATURE_WINDOW.days if spec.candidates.seen == "keep" else 0
    return _sql("seen_among", pairs=pairs, cuts=cuts, within_days=days)


def judged(spec: Spec, cuts: Sequence[date]) -> str:
    """Query the groups that a model is evaluated on."""
    return _sql("judged", snapshots=spec.examples.kind == "snapshots", cuts=cuts)


def populations(attribute: str) -> str:
    """Query the drawn groups by population."""
    return _sql("populations", attribute=attribute)


def repeats(cuts: Sequence[date]) -> str:
    """Query how many relevant pairs of some cuts there are, and how many are in the relation `seen_labels`."""
    return _sql("repeats", cuts=cuts)


@dataclass(frozen=True)
class Marks:
    """Relations that examples are marked by.

    Attributes:
        seen: of candidates that were seen, if a column is to say so.
        trained: of candidates that are trained on, if not all are.
    """

    seen: str | None = None
    trained: str | None = None


def examples(spec: Spec, drawn: str, cuts: Sequence[date], tables: type[Tables], marks: Marks = Marks()) -> str:
    """Query the examples of the groups that a relation (group_id, cut, weight) names.

    Args:
        spec: the pipeline.
        drawn: the relation.
        cuts: only these.
        tables: the engine's class, which says how it reads on-demand marts.
        marks: what else a column is to say.
    """
    # Scores and ranks that are no features are baselines of the evaluation, so they come along.
    baselines = [feature for feature in spec.retrieval_features if feature not in spec.resolved_features]
    features = (*spec.resolved_features, *baselines)
    return _sql(
        "examples",
        drawn=drawn,
        cuts=cuts,
        attributes=attribute_columns(spec),
        values=[value_of(feature) for feature in features],
        joined=joined_from(features, tables),
        attributed=_attributed(spec),
        seen=marks.seen,
        trained=marks.trained,
        policy=reads_policy(spec.position_bias),
    )


def feature_values(features: Sequence[MartFeature | AttributeFeature], asked: str, tables: type[Tables]) -> str:
    """Query the values of some features exactly as examples get them.

    Args:
        features: columns of marts, and attributes of users and items.
        asked: a relation (user_id, item_id, cut, place).
        tables: the engine's class.
    """
    values = [value_of(feature) for feature in features]
    return _sql("feature_values", asked=asked, values=values, joined=joined_from(features, tables))


def categories(spec: Spec, days: Sequence[date]) -> str:
    """Query the texts that the features of a run may have: a row for each value that is known as of one of the days."""
    texts = []
    for feature in category_features(spec):
        relation = "candidates" if feature.attribute.entity == "request" else feature.attribute.relation
        texts.append(Value(feature.name, relation, feature.attribute.sql(relation)))
    return _sql("categories", days=days, texts=texts)


def category_features(spec: Spec) -> list[CategoryFeature]:
    """The features of a pipeline that are codes of texts."""
    return [feature for feature in spec.resolved_features if isinstance(feature, CategoryFeature)]


def serving(spec: Spec, entity: Entity, day: date) -> str | None:
    """Query the features of users, items or pairs as of a day, as a version serves them; None where it needs none.

    Texts and lists come as they are: the engine has the dictionary, and computes what depends on a pair.
    """
    (mart,) = (name for name, of in MARTS.items() if of == entity)
    chosen = [f"{mart}.{key}" for key in KEYS[entity]]
    by = spec.populations.by if spec.populations and entity == "user" else None
    known = {attribute.name: attribute for attribute in spec.attributes}
    if by is not None:
        chosen.append(split_by(known[by]))
    for feature in spec.resolved_features:
        if isinstance(feature, MartFeature) and feature.mart == mart:
            chosen.append(f"{mart}.{identifier(feature.name)}")
        elif isinstance(feature, AttributeFeature) and feature.attribute.entity == entity:
            chosen.append(f"{served_value(feature)} as {identifier(served_column(feature))}")
        if isinstance(feature, MatchFeature) and entity == "item":
            chosen.append(
                f"{feature.items.sql(feature.items.relation)} as {identifier(served_items_column(feature.items.name))}"
            )
    chosen = list(dict.fromkeys(chosen))  # one list may be several features
    declared = next((name for name in ATTRIBUTE_KEYS if any(f"{name}." in column for column in chosen)), None)
    if len(chosen) == len(KEYS[entity]) and entity != "user":
        return None
    keys = KEYS[entity]
    condition = " and ".join(f"{mart}.{key} = {declared}.{key}" for key in (*keys, "as_of"))
    return _sql("serving", mart=mart, keys=keys, columns=chosen, declared=declared, condition=condition, day=day)


def user_values(feature: OverlapFeature, day: date) -> str:
    """Query what an overlap is computed from: how often each value of the list is in the past of each user."""
    return _sql("user_values", attribute=feature.attribute.name, day=day)


def past_actions(spec: Spec, cut: date) -> str:
    """Query what retrieval learns from, of the year up to a cut: actions, or weights where kinds are declared."""
    if not spec.interactions.kinds:
        return _sql("past_actions", cut=cut, first=cut - LONGEST_FEATURE_WINDOW)
    return _sql("past_weights", cut=cut, weighted=_weighted(spec, cut), parts_of_1=PARTS_OF_1)


def past_kinds(spec: Spec, cut: date) -> str:
    """Query how much of each kind there is in the year up to a cut, and how much of it retrieval learns from."""
    return _sql("past_kinds", weighted=_weighted(spec, cut))


def _weighted(spec: Spec, cut: date) -> str:
    return _sql("past_weighted", cut=cut, first=cut - LONGEST_FEATURE_WINDOW, kinds=spec.interactions.weighted)


def known_items(cut: date) -> str:
    """Query the items known as of a cut, with their features."""
    return _sql("known_items", cut=cut)


def relevant(cut: date) -> str:
    """Query what users with a past found relevant after a cut."""
    return _sql("relevant", cut=cut)


def active_users(cut: date) -> str:
    """Query the users who get a list at a snapshot cut."""
    return _sql("active_users", cut=cut)


def user_segments(attribute: Attribute, cut: date) -> str:
    """Query the users who have a value of an attribute as of a cut, and that value as a text."""
    return _sql("user_segments", mart=attribute.relation, segment=attribute.sql(attribute.relation), cut=cut)


def shown(spec: Spec, cut: date) -> str:
    """Query what was shown on the day after a cut."""
    day = timedelta(days=1)
    # Bands are made of the numbers where they are read.
    attributes = [part.name for part in spec.attributes if part.entity == "request" and part.number is None]
    return _sql(
        "shown",
        cut=cut,
        first=cut + day,
        last=cut + 2 * day,
        complete=cut + spec.lag,
        attributes=attributes,
        policy=reads_policy(spec.position_bias),
    )


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
