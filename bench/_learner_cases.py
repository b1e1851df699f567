"""What `bench.learners` compares: every learner of the registries, with each of its kinds.

A new type of the registries, or a new kind of one (an `objective`, a `similarity`), becomes a row by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter

from tasks.examples.retrievers import RETRIEVAL_MODELS
from tasks.spec.parts import Part
from tasks.spec.rankers import LightGBM, Ranker, ranker_problems
from tasks.spec.retrieval import Retrieval
from tasks.spec.retrievals.blend import BlendRetrieval
from tasks.spec.spec import Spec
from tasks.store.records import Record
from tasks.training.rankers import RANKERS

OWN = "the pipeline's"
"""What begins the name of what a pipeline file declares, with its settings."""
HALF_LIFE = 60
NEEDS: Mapping[tuple[str, str], Mapping[str, Any]] = {("boosting", "rf"): {"bagging_fraction": 0.6}}
"""Settings that a kind cannot do without."""
ELASTIC_NET = {"l1": 0.001, "l2": 0.001}
DRAWN = {"bagging_fraction": 0.8, "feature_fraction": 0.8}
BLENDED = ("als", "item_item")


class Case(Record):
    """A learner by what the table calls it.

    Attributes:
        name: its row.
        ranker: its settings, if it is one.
        retrieval: else a retriever: the last of these, which may blend those before it.
    """

    name: str
    ranker: Ranker | None = None
    retrieval: tuple[Retrieval, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A choice between words among the settings of a type, such as `objective: binary`."""

    key: str
    word: str

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that make it."""
        return {self.key: self.word, **NEEDS.get((self.key, self.word), {})}


def choices(part: Part) -> dict[str, tuple[str, ...]]:
    """The settings that are words, with those that there are."""
    fields = {key: field.annotation for key, field in type(part).model_fields.items() if key != "type"}
    return {key: get_args(annotation) for key, annotation in fields.items() if get_origin(annotation) is Literal}


def kinds_of(part: Part) -> Iterator[Kind]:
    """Yield the words of each choice that the part has not made."""
    for key, words in choices(part).items():
        yield from (Kind(key, word) for word in words if word != getattr(part, key))


def plain_name(name: str, part: Part) -> str:
    """What a type is called with its defaults."""
    words = ", ".join(getattr(part, key) for key in choices(part))
    return f"{name} ({words})" if words else name


def rankers(spec: Spec) -> tuple[Case, ...]:
    """The rankers, the pipeline's own first.

    Types of trees have the settings of the pipeline's own trees where they are not what is compared, the others their
    defaults: what was chosen for a pipeline was chosen for its type.
    """
    trees = spec.ranker if isinstance(spec.ranker, LightGBM) else LightGBM(type="lightgbm")
    cases: dict[str, Any] = {f"{OWN} ({spec.ranker.summary})": spec.ranker}
    for name, registered in RANKERS.items():
        plain = registered.settings.model_validate({"type": name})
        base = trees if name == trees.type else plain
        cases[plain_name(f"{name}, defaults", plain)] = plain
        cases |= {f"{name}, {kind.key}: {kind.word}": changed(base, kind.settings) for kind in kinds_of(base)}
    cases |= composed(trees)
    able = {name: case for name, case in cases.items() if not [*ranker_problems(case, validation=True)]}
    return tuple(Case(name=name, ranker=ranker) for name, ranker in able.items())


def composed(trees: LightGBM) -> dict[str, Any]:
    """Rankers that are made of others, and the penalty that is no choice between words."""
    logistic = RANKERS["linear"].settings.model_validate({"type": "linear", "loss": "logistic"})
    machine = RANKERS["fm"].settings.model_validate({"type": "fm"})
    blends = {"trees and linear": [trees, logistic], "trees, linear and fm": [trees, logistic, machine]}
    return {
        "linear, elastic net": changed(logistic, ELASTIC_NET),
        "lightgbm, 3 seeds": changed(trees, {**DRAWN, "seeds": 3}),
        **{f"blend of {name}, even": even_blend(parts) for name, parts in blends.items()},
    }


def even_blend(parts: list[Part]) -> Ranker:
    """Rankers of equal weight: not every pipeline has a validation window to choose weights on."""
    adapter: TypeAdapter[Ranker] = TypeAdapter(Ranker)
    of = [part.model_dump() for part in parts]
    return adapter.validate_python({"type": "blend", "of": of, "weights": [1.0 / len(of)] * len(of)})


def changed(ranker: Part, settings: Mapping[str, Any]) -> Any:
    """The same with other settings."""
    return type(ranker).model_validate({**ranker.model_dump(), **settings})


def retrievers(spec: Spec, k: int) -> tuple[Case, ...]:
    """The retrievers with their defaults, each of their kinds, and those of the pipeline file with its settings."""
    cases: dict[str, tuple[Retrieval, ...]] = {}
    for name, model in RETRIEVAL_MODELS.items():
        # What is blended is a choice of its own, and what a program trains has no defaults.
        if not {key for key, field in model.settings.model_fields.items() if field.is_required()} <= {"type", "k"}:
            continue
        plain = part_of({"type": name, "k": k})
        cases[plain_name(name, plain)] = (plain,)
        for kind in kinds_of(plain):
            cases[f"{name}, {kind.key}: {kind.word}"] = (part_of({"type": name, "k": k, **kind.settings}),)
        if "half_life" in model.settings.model_fields:
            recent = {"type": name, "k": k, "half_life": f"{HALF_LIFE}d"}
            cases[f"{name}, half_life: {HALF_LIFE}d"] = (part_of(recent),)
    segment = segment_of(spec)
    cases[f"popularity, by: {segment}"] = (part_of({"type": "popularity", "k": k, "by": segment}),)
    members = [part_of({"type": name, "k": k}) for name in BLENDED]
    for by in ("scores", "ranks"):
        blend = {"type": "blend", "of": [{"retrieval": name} for name in BLENDED], "by": by, "k": k}
        cases[f"blend of {' and '.join(BLENDED)}, by: {by}"] = (*members, part_of(blend))
    cases |= {f"{OWN} {part.identity}": own_parts(spec, part, k) for part in spec.retrieval}
    return tuple(Case(name=name, retrieval=parts) for name, parts in cases.items())


def own_parts(spec: Spec, part: Retrieval, k: int) -> tuple[Retrieval, ...]:
    """A retrieval of the pipeline file that finds k items, after those that it blends."""
    names = {one.retrieval for one in part.of} if isinstance(part, BlendRetrieval) else set()
    blended = [other for other in spec.retrieval if other.identity in names]
    return (*blended, part.model_copy(update={"k": k}))


def part_of(settings: dict[str, Any]) -> Retrieval:
    """A part of a pipeline file."""
    adapter: TypeAdapter[Retrieval] = TypeAdapter(Retrieval)
    return adapter.validate_python(settings)


def segment_of(spec: Spec) -> str:
    """The attribute of users that popularity is counted by: the first that the sample is stratified by."""
    texts = [part.name for part in spec.attributes if (part.entity, part.type) == ("user", "text")]
    return next((name for name in spec.sample.strata if name in texts), texts[0])
