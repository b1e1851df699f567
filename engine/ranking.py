"""The engine: loads a published version, checks all of it, and answers requests exactly as it was tested to.

```
engine = load(Path("var/registry/streaming/versions/2026-02-28.3f9ac2d1"))
engine.rank([Request(user_id="u1", k=10)])[0].items
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.agreement import first_difference, tolerance
from engine.arrays import Singles
from engine.bands import band_of
from engine.descriptor import (
    ContextValue,
    Descriptor,
    Golden,
    Ranked,
    Request,
    check_artifacts,
    read_descriptor,
)
from engine.errors import RESTORE, GoldenMismatch, RequestError
from engine.loader import Wiring
from engine.node_schema import BandsNode, PopulationRankerNode
from engine.nodes import Answers, ScoringRanker, context_number
from engine.tables import FeatureTable

_BATCH = 512  # requests ranked together: bounds memory, changes no result


@dataclass(frozen=True)
class Response:
    """Ranked items of one request, best first.

    `population` is the ranker that answered; `unknown` are given candidates that are not in the catalogue or
    may not be shown. `propensities` are those of lists that are drawn: of each item at its place, given those above it.
    """

    items: list[str]
    scores: list[float]
    titles: list[str]
    population: str
    unknown: list[str]
    propensities: list[float] | None = None


@dataclass(frozen=True, eq=False)
class Explanation:
    """What an answer was computed from: `values[n]` are the features `names` of its n-th item.

    `context` is what features read of the request's.
    """

    names: tuple[str, ...]
    values: Singles
    context: Mapping[str, ContextValue]


@dataclass(frozen=True, eq=False)
class Populations:
    """Which ranker answers whom."""

    by: str | None
    users: FeatureTable | None
    values: list[str]
    rankers: dict[str, ScoringRanker]
    bands: BandsNode | None = None

    def of(self, requests: Sequence[Request]) -> list[str]:
        """Return the population of each request: from its context, else from the user's row, else `*`."""
        if self.by is None:
            return ["*"] * len(requests)
        values = [""] * len(requests)
        if self.users is not None and self.users.users is not None:
            numbers = self.users.users.numbers([request.user_id for request in requests])
            # Row -1, an unknown user, reads the empty text at the end.
            values = [self.values[row] for row in self.users.find(numbers.astype(np.int64))]
        chosen = [
            _population(request.context.get(self.by, self._banded(request, value)), self.by)
            for request, value in zip(requests, values, strict=True)
        ]
        return [value if value in self.rankers else "*" for value in chosen]

    def _banded(self, request: Request, value: str) -> str:
        """Return the band of the number in the request's context; what the user's row says where there is none."""
        if self.bands is None or self.bands.of not in request.context:
            return value
        return band_of(context_number(request.context, self.bands.of), self.bands.edges) or ""


def _population(value: ContextValue, by: str) -> str:
    """Return the text by which populations are named; raise `RequestError` for a number."""
    if isinstance(value, bool):  # as SQL writes it
        return "true" if value else "false"
    if not isinstance(value, str):
        raise RequestError(f"context.{by}: found {value}, expected a text, or true or false")
    return value


@dataclass(frozen=True, eq=False)
class Engine:
    """A loaded version; build it with `load`."""

    descriptor: Descriptor
    wiring: Wiring
    populations: Populations

    def rank(self, requests: Sequence[Request]) -> list[Response]:
        """Answer requests; each gets the same answer, to the last bit, alone as among many."""
        responses: list[Response | None] = [None] * len(requests)
        names = self.populations.of(requests)
        for name in dict.fromkeys(names):
            numbers = [number for number, own in enumerate(names) if own == name]
            for start in range(0, len(numbers), _BATCH):
                part = numbers[start : start + _BATCH]
                for number, response in zip(part, self._answer(name, [requests[n] for n in part]), strict=True):
                    responses[number] = response
        return [response for response in responses if response is not None]

    def explain(self, request: Request) -> tuple[Response, Explanation]:
        """Answer a request as `rank` does, with the feature values that the returned items were scored by."""
        population = self.populations.of([request])[0]
        ranker = self.populations.rankers[population]
        answers = ranker.rank([request], explain=True)
        read = ranker.scorer.context_keys
        context = {key: value for key, value in request.context.items() if key in read}
        values = answers.features if answers.features is not None else np.empty((0, 0), dtype=np.float32)
        return self._responses(population, answers)[0], Explanation(ranker.scorer.names, values, context)

    def _answer(self, population: str, requests: Sequence[Request]) -> list[Response]:
        return self._responses(population, self.populations.rankers[population].rank(requests))

    def _responses(self, population: str, answers: Answers) -> list[Response]:
        catalogue = self.wiring.catalogue
        responses = []
        for number, unknown in enumerate(answers.unknown):
            own = slice(answers.ranked.offsets[number], answers.ranked.offsets[number + 1])
            items = answers.ranked.items[own]
            responses.append(
                Response(
                    items=catalogue.items.ids.values[items].tolist(),
                    scores=answers.scores[own].tolist(),
                    titles=[catalogue.titles[item] for item in items.tolist()],
                    population=population,
                    unknown=list(unknown),
                    propensities=None if answers.propensities is None else answers.propensities[own].tolist(),
                )
            )
        return responses


def load(folder: Path, *, unpublished: bool = False, content: str | None = None) -> Engine:
    """Return the engine of a version's folder, or refuse it.

    In this order: the descriptor is read and its references resolved; the content digest, size and digest of every
    artifact are compared; the artifacts are loaded; the golden requests are answered and compared, items and scores,
    for exact equality (`engine.agreement` has the exception).

    Args:
        folder: the version's.
        unpublished: allows a version that has no golden requests yet, to make them.
        content: the content digest by which an alias or the timeline knows the version, if one does.

    Raises:
        EngineError: `DescriptorError`, `ArtifactError` or `GoldenMismatch`.
    """
    descriptor = read_descriptor(folder)
    check_artifacts(folder, descriptor, content)
    wiring = Wiring(folder, descriptor.catalogue, descriptor.as_of.isoformat())
    engine = Engine(descriptor, wiring, _populations(descriptor, wiring))
    if not descriptor.golden and not unpublished:
        raise GoldenMismatch(f"{folder}: no golden requests, so nothing shows that it ranks as published; {RESTORE}")
    _replay(engine, folder)
    return engine


def golden(engine: Engine, requests: Sequence[Request]) -> tuple[Golden, ...]:
    """Return requests with the engine's answers, for the descriptor's `golden`."""
    responses = engine.rank(requests)
    return tuple(
        Golden(request=request, response=_ranked(response))
        for request, response in zip(requests, responses, strict=True)
    )


def _ranked(response: Response) -> tuple[Ranked, ...]:
    none: list[float | None] = [None] * len(response.items)
    drawn = none if response.propensities is None else response.propensities
    rows = zip(response.items, response.scores, drawn, strict=True)
    return tuple(Ranked(item=item, score=score, propensity=propensity) for item, score, propensity in rows)


def _populations(descriptor: Descriptor, wiring: Wiring) -> Populations:
    node = descriptor.ranker
    if not isinstance(node, PopulationRankerNode):
        return Populations(None, None, [], {"*": wiring.ranker(node)})
    built = {name: wiring.ranker(ranker) for name, ranker in descriptor.rankers.items()}
    rankers = {population: built[ref.target] for population, ref in node.of.items()}
    if node.artifact is None:
        return Populations(node.by, None, [], rankers, node.bands)
    table = wiring.table(node.artifact, "user")
    bands = node.bands
    values = table.attribute(node.by) if bands is None else table.bands(bands.of, bands.edges)
    return Populations(node.by, table, values, rankers, bands)


def _replay(engine: Engine, folder: Path) -> None:
    expected, near = engine.descriptor.golden, tolerance(engine.descriptor)
    actual = golden(engine, [vector.request for vector in expected])
    for number, (old, new) in enumerate(zip(expected, actual, strict=True)):
        # Mostly exactly: a rounding that differs shows another library or processor.
        place = first_difference(old.response, new.response, near)
        if place is None:
            continue
        was, now = old.response[place : place + 1], new.response[place : place + 1]
        raise GoldenMismatch(
            f"{folder}: golden request {number} (user {old.request.user_id!r}) is answered otherwise at place "
            f"{place + 1}: {_shown(now)} instead of {_shown(was)}; do not serve this version, but {RESTORE}"
        )


def _shown(place: tuple[Ranked, ...]) -> str:
    return f"{place[0].item!r} with {place[0].score!r}" if place else "nothing"
