"""The features of a pipeline file, resolved: a column of a mart, an attribute, or what a retrieval says of an item.

Decided here and nowhere else, so that no other module takes names apart. To add a kind of feature: one class here, and
the places that mypy then names (the query of the examples, the descriptor's nodes, the drift tests).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from tasks.errors import SpecError
from tasks.spec.attributes import Attribute
from tasks.spec.feature_catalog import MartFeature, feature_catalog
from tasks.spec.retrieval import Retrieval


@dataclass(frozen=True)
class _OfAttribute:
    attribute: Attribute

    @property
    def name(self) -> str:
        """Column of the examples, as the pipeline file spells it."""
        return self.attribute.feature


@dataclass(frozen=True)
class NumberFeature(_OfAttribute):
    """A number as it is, or a boolean as 0 or 1; missing where it is not known."""


@dataclass(frozen=True)
class CategoryFeature(_OfAttribute):
    """The code of a text in the run's dictionary; missing where it is not known, or the dictionary lacks it."""


@dataclass(frozen=True)
class OverlapFeature(_OfAttribute):
    """The share of the values of a list in a user's past that an item has; 0 without a past."""


@dataclass(frozen=True)
class MatchFeature(_OfAttribute):
    """What an item's list has in common with a list of the user or the request; missing without either.

    `measure` is how many values of the list the item has (`shared`), or the share of them (`overlap`).
    """

    items: Attribute
    measure: Literal["shared", "overlap"]

    @property
    def name(self) -> str:
        """Column of the examples, as the pipeline file spells it."""
        return f"{self.attribute.entity}_{self.attribute.name}_{self.measure}"


AttributeFeature = NumberFeature | CategoryFeature | OverlapFeature | MatchFeature


@dataclass(frozen=True)
class _OfRetrieval:
    retrieval: Retrieval

    SUFFIX: ClassVar[str]

    @property
    def name(self) -> str:
        """Column of the examples, as the pipeline file spells it."""
        return f"{self.retrieval.identity}_{self.SUFFIX}"


@dataclass(frozen=True)
class RetrievalScore(_OfRetrieval):
    """The score that a retrieval gives a candidate; 0 for items that it did not retrieve."""

    SUFFIX = "score"


@dataclass(frozen=True)
class RetrievalRank(_OfRetrieval):
    """The place of a candidate in the list of a retrieval, from 1; 0 for items that it did not retrieve."""

    SUFFIX = "rank"


RetrievalFeature = RetrievalScore | RetrievalRank
Feature = MartFeature | AttributeFeature | RetrievalFeature
_BY_TYPE: dict[str, type[NumberFeature] | type[CategoryFeature] | type[OverlapFeature]] = {
    "number": NumberFeature,
    "boolean": NumberFeature,
    "text": CategoryFeature,
    "list": OverlapFeature,
}


def features_of_attributes(attributes: Sequence[Attribute]) -> tuple[AttributeFeature, ...]:
    """List what the attributes of a source offer as features, in their order."""
    features: list[AttributeFeature] = []
    items = {attribute.name: attribute for attribute in attributes if attribute.entity == "item"}
    for attribute in attributes:
        if attribute.matches:
            features += [MatchFeature(attribute, items[attribute.matches], way) for way in ("shared", "overlap")]
        else:
            features.append(_BY_TYPE[attribute.type](attribute))
    return tuple(features)


def features_of_retrieval(retrieval: Sequence[Retrieval], *, ranks: bool) -> tuple[RetrievalFeature, ...]:
    """List what the retrievals of a pipeline offer as features, the scores first.

    Args:
        retrieval: the pipeline's.
        ranks: whether ranks are among them. What was shown is a list of another length than what is retrieved, so a
            rank in it would mean something else: only snapshots have them.
    """
    scores: tuple[RetrievalFeature, ...] = tuple(RetrievalScore(part) for part in retrieval)
    return scores + (tuple(RetrievalRank(part) for part in retrieval) if ranks else ())


def resolve_features(
    names: Sequence[str], offered: Sequence[AttributeFeature | RetrievalFeature]
) -> tuple[Feature, ...]:
    """Resolve names in their order, which is that of the columns a model is trained on.

    Args:
        names: as in the pipeline file.
        offered: what the attributes of its source and its retrievals give.

    Raises:
        SpecError: a name is neither; loading a pipeline file reports this earlier, with its line.
    """
    known: dict[str, Feature] = {**feature_catalog().features, **{feature.name: feature for feature in offered}}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SpecError(
            f"features: unknown {', '.join(unknown)}; expected a column of a mart, an attribute, or `<retrieval>_score`"
        )
    return tuple(known[name] for name in names)
