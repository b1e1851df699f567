"""The executable side of descriptor nodes: small, vectorised, the same call for one request and for many."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Floats, Singles, Strings, offsets_of
from engine.bands import band_of
from engine.candidates import Candidates, allowed, ranks_of, union
from engine.categories import Categories
from engine.descriptor import ContextValue, Request
from engine.discount import Discount, discounted
from engine.diversity import Diversity
from engine.errors import RequestError
from engine.exploration import Exploration, Hashes, request_key
from engine.functions.load import Function
from engine.matches import ItemLists, Measure, WantedLists
from engine.overlap import Overlap
from engine.retrieval import Retriever
from engine.seen import SeenRule
from engine.tables import Catalog, FeatureTable

_LARGEST = 3.4e38  # of the 32 bits that features have


@dataclass(frozen=True, eq=False)
class Lookup:
    """A column of a feature table."""

    table: FeatureTable
    values: Singles
    default: float


@dataclass(frozen=True, eq=False)
class Score:
    """The score of a retriever (also used for `Dot`)."""

    retriever: Retriever
    default: float


@dataclass(frozen=True, eq=False)
class Rank:
    """The rank of a retriever's score among a request's candidates."""

    retriever: Retriever


@dataclass(frozen=True, eq=False)
class Shared:
    """How much of the user's past an item shares."""

    overlap: Overlap


def context_number(
    context: Mapping[str, ContextValue], key: str, kind: Literal["number", "boolean"] = "number"
) -> float:
    """Return a number of a context, or a boolean as 0 or 1; NaN without one.

    Raises:
        RequestError: the value is of another type, or larger than features can be.
    """
    given = context.get(key)
    # In Python True is a number, too; in a request it is not.
    if given is not None and (isinstance(given, str | tuple) or isinstance(given, bool) != (kind == "boolean")):
        expected = "true or false" if kind == "boolean" else "a number"
        raise RequestError(f"context.{key}: found {json.dumps(given)}, expected {expected}")
    if given is not None and abs(given) > _LARGEST:
        raise RequestError(f"context.{key}: found {json.dumps(given)}, expected at most {_LARGEST:g}")
    return float("nan") if given is None else float(given)


@dataclass(frozen=True, eq=False)
class RequestNumber:
    """A number of the request's context, or a boolean as 0 or 1."""

    key: str
    kind: Literal["number", "boolean"]

    def value(self, context: Mapping[str, ContextValue]) -> float:
        """Return the value, NaN without one; raise `RequestError` for one of another type."""
        return context_number(context, self.key, self.kind)


@dataclass(frozen=True, eq=False)
class RequestCategory:
    """The code of a text of the request's context, or, with edges, of the band of a number."""

    key: str
    categories: Categories
    edges: tuple[float, ...] = ()

    def value(self, context: Mapping[str, ContextValue]) -> float:
        """Return the code, NaN without a value; raise `RequestError` for one of another type."""
        if self.edges:
            return self.categories.code(band_of(context_number(context, self.key), self.edges))
        given = context.get(self.key)
        if given is not None and not isinstance(given, str):
            raise RequestError(f"context.{self.key}: found {json.dumps(given)}, expected a text")
        return self.categories.code(given)


@dataclass(frozen=True, eq=False)
class Match:
    """What an item's list has in common with the user's; `lists` has a row per row of the table, and an empty last."""

    table: FeatureTable
    lists: WantedLists
    items: ItemLists
    measure: Measure


@dataclass(frozen=True, eq=False)
class RequestMatch:
    """What an item's list has in common with a list of the request's context."""

    key: str
    items: ItemLists
    measure: Measure

    def texts(self, context: Mapping[str, ContextValue]) -> tuple[str, ...] | None:
        """Return the list, None without one; raise `RequestError` for another type."""
        given = context.get(self.key)
        if given is not None and not isinstance(given, tuple):
            raise RequestError(f"context.{self.key}: found {json.dumps(given)}, expected a list of texts")
        return given


Feature = Lookup | Score | Rank | Shared | Match | RequestNumber | RequestCategory | RequestMatch


@dataclass(frozen=True, eq=False)
class FeatureScorer:
    """Computes features, then a function of them. `names` are the matrix's columns."""

    names: tuple[str, ...]
    features: tuple[Feature, ...]
    function: Function
    catalogue: Catalog

    @property
    def context_keys(self) -> frozenset[str]:
        """The keys of a request's context that features read."""
        of_request = RequestNumber | RequestCategory | RequestMatch
        return frozenset(f.key for f in self.features if isinstance(f, of_request))

    def matrix(self, requests: Sequence[Request], users: Strings, candidates: Candidates) -> Singles:
        """Return the features of each candidate (candidates × features).

        Raises:
            RequestError: the context of a request has a value of another type than a feature reads.
        """
        owner = candidates.rows
        matrix = np.empty((len(candidates.items), len(self.features)), dtype=np.float32)
        # By identity: features share tables and retrievers, which are looked up once for all of them.
        rows: dict[int, npt.NDArray[np.int64]] = {}
        scores: dict[int, Singles] = {}
        for column, feature in enumerate(self.features):
            if isinstance(feature, RequestNumber | RequestCategory):
                of_request = np.array([feature.value(request.context) for request in requests], dtype=np.float32)
                matrix[:, column] = of_request[owner]
            elif isinstance(feature, RequestMatch):
                wanted = feature.items.wanted([feature.texts(request.context) for request in requests])
                matrix[:, column] = feature.items.match(wanted, owner, candidates.items, feature.measure)
            elif isinstance(feature, Match):
                at = feature.table.rows(users, owner, candidates.items, self.catalogue.category)
                # Row -1 is the last, which has no list.
                at = np.where(at < 0, len(feature.lists.sizes) - 1, at)
                matrix[:, column] = feature.items.match(feature.lists, at, candidates.items, feature.measure)
            elif isinstance(feature, Shared):
                matrix[:, column] = feature.overlap.share(users, owner, candidates.items)
            elif isinstance(feature, Score | Rank):
                retriever = feature.retriever
                if id(retriever) not in scores:
                    scores[id(retriever)] = retriever.score(users, owner, candidates.items)
                values = scores[id(retriever)]
                if isinstance(feature, Rank):
                    matrix[:, column] = ranks_of(candidates, values)
                else:
                    matrix[:, column] = np.where(np.isnan(values), np.float32(feature.default), values)
            else:
                table = feature.table
                if id(table) not in rows:
                    rows[id(table)] = table.rows(users, owner, candidates.items, self.catalogue.category)
                at = rows[id(table)]
                # Row -1 reads the NaN at the end of the column, which the default replaces.
                matrix[:, column] = np.where(at < 0, np.float32(feature.default), feature.values[at])
        return matrix


@dataclass(frozen=True, eq=False)
class Answers:
    """Ranked items of many requests, best first, with the score of each."""

    ranked: Candidates
    scores: Floats
    unknown: list[tuple[str, ...]]
    features: Singles | None
    """What was scored (items × features), if it was asked for."""
    propensities: Floats | None = None
    """Of each item at its place, given those above it; None where lists are not drawn."""


@dataclass(frozen=True, eq=False)
class ScoringRanker:
    """Retrieves or takes candidates, scores them and orders them; equal scores by item number."""

    retrievers: tuple[tuple[Retriever, int], ...]
    scorer: FeatureScorer
    seen: SeenRule | None
    diversity: Diversity | None
    catalogue: Catalog
    exploration: Exploration | None = None
    discounts: tuple[Discount, ...] = ()
    day: str = ""

    def rank(self, requests: Sequence[Request], *, explain: bool = False) -> Answers:
        """Answer requests; `explain` keeps the features of the items that are returned."""
        users = np.array([request.user_id for request in requests], dtype=np.str_)
        candidates, unknown = self._candidates(requests, users)
        if self.seen is not None:  # of those that requests name; what is retrieved is allowed already
            candidates = allowed(self.seen, users, candidates)
        matrix = self.scorer.matrix(requests, users, candidates)
        columns = [matrix[:, self.scorer.names.index(rule.feature)] for rule in self.discounts]
        scores = discounted(self.discounts, self.scorer.function.predict(matrix), candidates.offsets, columns)
        order = np.lexsort((candidates.items, -scores, candidates.rows))  # lexsort's last key is the first to sort by
        items, scores = candidates.items[order], scores[order]
        limits = np.array([request.k for request in requests], dtype=np.int64)
        if self.diversity is not None:
            # A draw is of all places; how many of them are diverse must not depend on who else is answered.
            places = int(limits.max(initial=0)) if self.exploration is None else len(items)
            moved = self.diversity.order(scores, candidates.offsets, items, places)
            items, scores, order = items[moved], scores[moved], order[moved]
        propensities = None
        if self.exploration is not None:
            keys = self._keys(requests, self.exploration.seed)
            hashes = self.catalogue.item_hashes[items]
            moved, propensities = self.exploration.order(scores, candidates.offsets, hashes, keys)
            items, scores, order = items[moved], scores[moved], order[moved]
        place = np.arange(len(items)) - candidates.offsets[:-1][candidates.rows]
        top = place < limits[candidates.rows]
        ranked = Candidates(candidates.offsets, items).only(top)
        features = matrix[order[top]] if explain else None
        shown = None if propensities is None else propensities[top]
        return Answers(ranked, scores[top], unknown, features, shown)

    def _keys(self, requests: Sequence[Request], seed: int) -> Hashes:
        keys = [request_key(seed, self.day, request.user_id, request.request_id or "") for request in requests]
        return np.array(keys, dtype=np.uint64)

    def _candidates(self, requests: Sequence[Request], users: Strings) -> tuple[Candidates, list[tuple[str, ...]]]:
        retrieve = np.array([request.candidates is None for request in requests], dtype=np.bool_)
        retrieved = union(self.retrievers, users[retrieve], self.seen) if retrieve.any() else None
        parts: list[Codes] = []
        unknown: list[tuple[str, ...]] = []
        position = 0
        for request in requests:
            if request.candidates is None and retrieved is not None:
                parts.append(retrieved.items[retrieved.offsets[position] : retrieved.offsets[position + 1]])
                unknown.append(())
                position += 1
            else:
                part, dropped = self._given(request.candidates or ())
                parts.append(part)
                unknown.append(dropped)
        items = np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)
        return Candidates(offsets_of(np.array([len(part) for part in parts])), items), unknown

    def _given(self, wanted: tuple[str, ...]) -> tuple[Codes, tuple[str, ...]]:
        """Return the numbers of the given items that may be shown, each once, and the ids left out."""
        distinct = tuple(dict.fromkeys(wanted))
        numbers = self.catalogue.items.ids.numbers(distinct)
        # An unknown item (-1) reads the last one's flag, to no effect; an empty catalog has no flag to read.
        good = (numbers >= 0) & self.catalogue.items.available[numbers] if len(self.catalogue.items) else numbers >= 0
        return numbers[good], tuple(item for item, fine in zip(distinct, good, strict=True) if not fine)
