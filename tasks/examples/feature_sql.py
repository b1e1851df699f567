"""The SQL of features: the value of each as a column of the examples, and what that column is joined from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from tasks.features.warehouse import Tables
from tasks.spec.attributes import RELATIONS, Attribute
from tasks.spec.feature_catalog import KEYS, MARTS, ON_DEMAND_MARTS, MartFeature
from tasks.spec.resolved_features import (
    AttributeFeature,
    CategoryFeature,
    Feature,
    MatchFeature,
    NumberFeature,
    OverlapFeature,
)
from tasks.store.sql import identifier, literal, render

_sql = partial(render, Path(__file__).parent / "sql")
CODES = "category_codes"
"""The scratch relation (feature, value, code) of a run's dictionary of texts; what uses it adds it."""
ATTRIBUTE_KEYS: dict[str, tuple[str, ...]] = {RELATIONS["user"]: KEYS["user"], RELATIONS["item"]: KEYS["item"]}
_KEY_COLUMNS = {"user_id": "chosen.user_id", "item_id": "chosen.item_id", "category": "feat_items.category"}


class Value(NamedTuple):
    """A feature as a column of the examples: the relation it comes from, and the SQL that gives it."""

    name: str
    relation: str
    expression: str


@dataclass(frozen=True)
class Joined:
    """A relation to join to the chosen rows: what stands after `join`, its name, and the condition."""

    name: str
    rows: str
    condition: str


def at_points(mart: str, tables: type[Tables]) -> str:
    """The rows of an on-demand mart that the relation `points` needs, where the engine can give those alone."""
    return f"{mart}_at('points')" if tables.TABLE_MACROS else mart


def served_column(feature: AttributeFeature) -> str:
    """The column of a version's table that has what a feature is made from."""
    return f"{feature.attribute.entity}_{feature.attribute.name}" if isinstance(feature, MatchFeature) else feature.name


def served_items_column(attribute: str) -> str:
    """The column of a version's table of items that has the lists which others are compared with."""
    return f"item_{attribute}"


def split_by(attribute: Attribute) -> str:
    """What the ranker is chosen by: a text, or the number whose band the engine finds by the descriptor's edges."""
    source = attribute.source
    kind = "varchar" if source is attribute else "double"
    return f"cast({source.sql(source.relation)} as {kind}) as {identifier(source.name)}"


def served_value(feature: AttributeFeature) -> str:
    """What that column has: numbers in the 32 bits of features, texts and lists as they are."""
    column = feature.attribute.sql(feature.attribute.relation)
    return f"cast({column} as float)" if isinstance(feature, NumberFeature) else column


def value_of(feature: Feature) -> Value:
    """The value of a feature as a column of the examples."""
    name = identifier(feature.name)
    if isinstance(feature, MartFeature):
        return Value(feature.name, feature.mart, f"coalesce({feature.mart}.{name}, {feature.default})")
    if isinstance(feature, NumberFeature):
        column = feature.attribute
        return Value(feature.name, _relation(column), column.sql(_relation(column)))
    if isinstance(feature, CategoryFeature):
        return Value(feature.name, _relation(feature.attribute), f"{_joined_as(feature)}.code")
    if isinstance(feature, OverlapFeature):
        return Value(feature.name, _joined_as(feature), f"coalesce({_joined_as(feature)}.share, 0)")
    if isinstance(feature, MatchFeature):
        lists = [part.sql(_relation(part)) for part in (feature.attribute, feature.items)]
        return Value(feature.name, _relation(feature.attribute), match_sql(lists[0], lists[1], feature.measure))
    return Value(feature.name, "chosen", f"coalesce(chosen.{name}, 0)")


def match_sql(wanted: str, listed: str, measure: Literal["shared", "overlap"]) -> str:
    """Give the SQL of what two columns of lists have in common; a value counts once, and a null in a list is none."""
    distinct = f"list_distinct({wanted})"
    shared = f"len(list_intersect({distinct}, list_distinct({listed})))"
    if measure == "overlap":
        shared = f"cast({shared} as double) / nullif(len({distinct}), 0)"
    # Without the condition the functions would take no list for an empty one.
    return f"case when {wanted} is not null and {listed} is not null then {shared} end"


def _relation(attribute: Attribute) -> str:
    return "chosen" if attribute.entity == "request" else attribute.relation


def _joined_as(feature: CategoryFeature | OverlapFeature) -> str:
    # A prefix, or a text attribute of the item would be called like the mart `feat_items`' own relation.
    return identifier(f"of {feature.name}")


def joined_from(features: Sequence[Feature], tables: type[Tables]) -> list[Joined]:
    """What the values of features are joined from: the marts first, since the codes of texts are joined to those."""
    used = {value_of(feature).relation for feature in features}
    if "feat_user_categories" in used:
        used.add("feat_items")  # it knows the category of the item, by which the other is joined
    used |= {feature.items.relation for feature in features if isinstance(feature, MatchFeature)}
    keys = {**{mart: KEYS[entity] for mart, entity in MARTS.items()}, **ATTRIBUTE_KEYS}
    on_demand = {*ON_DEMAND_MARTS, *ATTRIBUTE_KEYS}
    marts = [
        Joined(
            mart,
            at_points(mart, tables) if mart in on_demand else mart,
            " and ".join(
                [f"chosen.cut = {mart}.as_of", *(f"{_KEY_COLUMNS[key]} = {mart}.{key}" for key in keys[mart])]
            ),
        )
        for mart in keys
        if mart in used
    ]
    return marts + [part for feature in features for part in _joined_for(feature, tables)]


def _joined_for(feature: Feature, tables: type[Tables]) -> list[Joined]:
    """What one feature needs beside the marts."""
    if isinstance(feature, CategoryFeature):
        name, attribute = _joined_as(feature), feature.attribute
        value = attribute.sql(_relation(attribute))
        return [Joined(name, CODES, f"{name}.feature = {literal(feature.name)} and {name}.value = {value}")]
    if isinstance(feature, OverlapFeature):
        name = _joined_as(feature)
        rows = _sql(
            "overlap",
            attribute=feature.attribute.name,
            users=at_points("feat_user_values", tables),
            items=at_points(feature.attribute.relation, tables),
        )
        keys = (f"chosen.{key} = {name}.{key}" for key in ("user_id", "item_id"))
        return [Joined(name, f"({rows})", " and ".join([f"chosen.cut = {name}.as_of", *keys]))]
    return []
