"""The attributes of users, items and requests that a source has: read from the yml of its staging models.

A column of `stg_users`, `stg_items` or `stg_impressions` with `config: {meta: {attribute: true}}` is an attribute, of
the type that its `data_type` says. Every source also has those of the marts: region, plan, tenure_band, category.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from engine.bands import band_names
from tasks.errors import SpecError
from tasks.spec.feature_catalog import feature_catalog
from tasks.spec.parts import Bands
from tasks.spec.project import transforms
from tasks.spec.yaml_lines import nearest, not_yaml
from tasks.store.sql import identifier, literal

AttributeEntity = Literal["user", "item", "request"]
AttributeType = Literal["number", "boolean", "text", "list"]

STAGED: dict[str, AttributeEntity] = {"stg_users": "user", "stg_items": "item", "stg_impressions": "request"}
"""Staging models that may declare attributes, and what they describe."""
TYPES: dict[str, AttributeType] = {
    **dict.fromkeys(("smallint", "integer", "bigint", "float", "double"), "number"),
    "boolean": "boolean",
    "varchar": "text",
    "varchar[]": "list",
}
"""The types that a declared column may have in the yml."""
RELATIONS: dict[AttributeEntity, str] = {
    "user": "feat_user_attributes",
    "item": "feat_item_attributes",
    "request": "request_attributes",
}
"""Where declared attributes lie in the warehouse. The first two are views of days, as `ON_DEMAND_MARTS` are."""
# The columns of the staging contract, and those that examples have beside attributes.
_TAKEN = frozenset(
    {
        "user_id", "item_id", "region", "plan", "tenure_band", "joined_at", "observed_at", "ds", "rule", "row",
        "title", "category", "available", "available_at", "impression_id", "request_id", "position", "policy",
        "propensity", "shown_at", "known_at", "example_id", "group_id", "cut", "grade", "weight", "best", "worst",
        "as_of", "valid_from", "valid_until", "place",
    }
)  # fmt: skip
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Attribute:
    """Something known of a user, an item or a request.

    Attributes:
        name: as strata and slices spell it, and the column of `relation`.
        entity: what it describes.
        type: what its values are.
        data_type: SQL type of the column.
        relation: the mart, or the table of requests, that has it.
        description: one sentence from the yml.
        matches: of a list of users or requests, the list of items that it is compared with.
        number: of bands, the attribute that is cut into them.
        edges: where it is cut, ascending.
    """

    name: str
    entity: AttributeEntity
    type: AttributeType
    data_type: str
    relation: str
    description: str = ""
    matches: str = ""
    number: Attribute | None = None
    edges: tuple[float, ...] = ()

    @property
    def source(self) -> Attribute:
        """What the data has of it: of bands the number, else the attribute itself."""
        return self.number or self

    def sql(self, relation: str) -> str:
        """Give the SQL of its value in a row of a relation that has the columns of its mart; null where missing."""
        column = f"{relation}.{identifier(self.source.name)}"
        if self.number is None:
            return column
        value = f"cast({column} as double)"
        # Edges as texts: a bare 0.1 is a decimal, and the engine compares with the nearest 64-bit number.
        *below, above = zip([*self.edges, self.edges[-1]], band_names(self.edges), strict=True)
        cases = [f"when {value} < cast({literal(repr(edge))} as double) then {literal(name)}" for edge, name in below]
        cases.append(f"when {value} >= cast({literal(repr(above[0]))} as double) then {literal(above[1])}")
        return f"case {' '.join(cases)} end"

    @property
    def features(self) -> tuple[str, ...]:
        """All its names among the features of a pipeline file."""
        return (f"{self.entity}_{self.name}_shared", self.feature) if self.matches else (self.feature,)

    @property
    def feature(self) -> str:
        """Its name among the features of a pipeline file; of a list that matches another, the share of it."""
        return f"{self.entity}_{self.name}" + ("_overlap" if self.type == "list" else "")

    @property
    def declared(self) -> bool:
        """Whether the source's staging declares it; if not, every source has it."""
        return self.relation in RELATIONS.values() and self.number is None


def attributes_of(staging: str) -> tuple[Attribute, ...]:
    """List the attributes of a source: those of every source first, then those it declares, in the yml's order.

    Raises:
        SpecError: a declaration has a name that is taken, or a type that no attribute has.
    """
    return (*_of_every_source(), *declared_attributes(staging))


def with_bands(attributes: Sequence[Attribute], bands: Mapping[str, Bands]) -> tuple[Attribute, ...]:
    """Add the bands of a pipeline to the attributes; those of something else than a number are left out.

    Loading a pipeline file reports these (`band_problems`), with their lines.
    """
    numbers = {part.name: part for part in attributes if part.type == "number"}
    return (
        *attributes,
        *(
            Attribute(name, number.entity, "text", "varchar", number.relation, number=number, edges=part.edges)
            for name, part in bands.items()
            for number in [numbers.get(part.of)]
            if number is not None
        ),
    )


def band_problems(bands: Mapping[str, Bands], known: Sequence[Attribute]) -> list[tuple[str, str | None, str]]:
    """List what is wrong with the bands of a pipeline: the band, its key if it is one's, and what to write.

    Args:
        bands: by name.
        known: the attributes of the pipeline, its bands among them.
    """
    problems: list[tuple[str, str | None, str]] = []
    taken = {part.name for part in known if part.number is None} | _TAKEN
    features = {*feature_catalog().features, *(name for part in known if part.number is None for name in part.features)}
    numbers = sorted(part.name for part in known if part.type == "number")
    for name, part in bands.items():
        if name in taken or any(f"{entity}_{name}" in features for entity in RELATIONS):
            problems.append((name, None, f"the name {name!r} is taken; expected one that no attribute or feature has"))
        if part.of not in numbers:
            expected = f"one of {', '.join(numbers)}" if numbers else "a source whose staging declares a number"
            problems.append(
                (name, "of", f"unknown attribute {part.of!r} that is a number; expected {expected}"
                 + nearest(part.of, numbers))
            )  # fmt: skip
        if list(part.edges) != sorted(set(part.edges)):
            problems.append((name, "edges", "found edges that do not ascend; expected each above the one before it"))
    return problems


def _of_every_source() -> tuple[Attribute, ...]:
    users = tuple(
        Attribute(name, "user", "text", "varchar", "feat_users") for name in feature_catalog().user_attributes
    )
    return (*users, Attribute("category", "item", "text", "varchar", "feat_items"))


def declared_attributes(staging: str) -> tuple[Attribute, ...]:
    """List what the yml files of a staging folder declare; none where there is no such folder."""
    return _declared(transforms().whole(f"models/staging/{staging}")).attributes


def declaration_texts(staging: str) -> Mapping[str, str]:
    """The files from which this process has read what a staging folder declares, by path below `transforms/`."""
    return _declared(transforms().whole(f"models/staging/{staging}")).texts


@dataclass(frozen=True)
class _Declared:
    attributes: tuple[Attribute, ...]
    texts: Mapping[str, str]


# Once a process: a DAG file is parsed again and again.
@cache
def _declared(folder: Path) -> _Declared:
    texts = {path: path.read_text(encoding="utf-8", errors="surrogateescape") for path in sorted(folder.glob("*.yml"))}
    attributes = tuple(
        _declaration(path, model, column)
        for path, text in texts.items()
        for model, column in _columns_of_attributes(path, text)
    )
    names = [attribute.name for attribute in attributes]
    for name in names:
        # One name, one thing: strata, slices and the context of a request do not say whose attribute they mean.
        if names.count(name) > 1:
            raise SpecError(
                f"{folder}: the attribute {name!r} is declared twice; expected another name for one of them"
            )
    lists = [part.name for part in attributes if part.entity == "item" and part.type == "list"]
    for part in attributes:
        if part.matches and part.matches not in lists:
            raise SpecError(
                f"{folder}: {part.name} matches {part.matches!r}; expected a list of items that stg_items declares"
                f"{nearest(part.matches, lists)}"
            )
    return _Declared(attributes, {f"models/staging/{folder.name}/{path.name}": text for path, text in texts.items()})


def _columns_of_attributes(path: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    """List the staging model and the column of each attribute in a yml file."""
    try:
        # Not as strictly as pipeline files: dbt takes anchors, for one, in the yml of models.
        document = yaml.safe_load(text) or {}
        return [
            (model["name"], column)
            for model in document.get("models", [])
            if model["name"] in STAGED
            for column in model.get("columns", [])
            if column.get("config", {}).get("meta", {}).get("attribute")
        ]
    except yaml.YAMLError as error:
        raise not_yaml(path, error) from None
    except (AttributeError, KeyError, TypeError) as error:
        raise SpecError(
            f"{path}: found another shape than that of dbt's `models:` ({type(error).__name__}: {error}); expected a "
            "list of models with `name` and `columns`"
        ) from None


def _declaration(path: Path, model: str, column: dict[str, Any]) -> Attribute:
    name, entity = str(column["name"]), STAGED[model]
    data_type = str(column.get("data_type", "")).lower()
    place = f"{path}: {model}.{name}"
    kind = TYPES.get(data_type)
    if kind is None:
        raise SpecError(
            f"{place}: found the attribute's data_type {data_type!r}; expected one of {', '.join(TYPES)}"
            f"{nearest(data_type, TYPES)}"
        )
    matches = str(column["config"]["meta"].get("matches", ""))
    if (kind == "list" and entity != "item") != bool(matches):
        found = f"matches: {matches}" if matches else f"a list of a {entity} that matches nothing"
        raise SpecError(
            f"{place}: found {found}; expected `meta: {{attribute: true, matches: <list of items>}}` of a list of "
            "users or requests, and of nothing else"
        )
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise SpecError(
            f"{place}: found the attribute's name {name!r}; expected small letters, digits and _, and none of the "
            "names that the tables have themselves, such as region, title or position"
        )
    description = " ".join(str(column.get("description", "")).split())
    attribute = Attribute(name, entity, kind, data_type, RELATIONS[entity], description, matches)
    for feature in attribute.features:
        if feature in feature_catalog().features:
            raise SpecError(
                f"{place}: the attribute would be the feature {feature!r}, which the marts have already; expected "
                "another name"
            )
    return attribute
