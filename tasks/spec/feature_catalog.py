"""The catalog of features and attributes: read from the marts' own contracts, so that it can't drift."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from tasks.errors import BuildError
from tasks.spec.project import TRANSFORMS
from tasks.spec.yaml_lines import read_document

Entity = Literal["user", "item", "user_item", "user_category"]

MARTS: dict[str, Entity] = {
    "feat_users": "user",
    "feat_items": "item",
    "feat_user_items": "user_item",
    "feat_user_categories": "user_category",
}
ON_DEMAND_MARTS = frozenset({"feat_user_items", "feat_user_categories"})
"""Marts that are views: `<mart>_at('<table of user_id, item_id, as_of>')` gives the rows of those pairs alone."""
KEYS: dict[Entity, tuple[str, ...]] = {
    "user": ("user_id",),
    "item": ("item_id",),
    "user_item": ("user_id", "item_id"),
    "user_category": ("user_id", "category"),
}


@dataclass(frozen=True)
class MartFeature:
    """A numeric column of a mart; `default` stands where the mart has no row."""

    name: str
    mart: str
    entity: Entity
    default: float
    description: str
    window: int = 0
    """Days it looks back, from the mart's yml or the end of its name (`_28d`); 0: it looks at no window."""


@dataclass(frozen=True)
class FeatureCatalog:
    """Everything a pipeline file may name."""

    features: dict[str, MartFeature]
    attributes: dict[str, tuple[str, ...]]
    """Per mart, the columns that describe an entity (region, category …)."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The files that it was read from, by path below `transforms/`."""

    @property
    def user_attributes(self) -> tuple[str, ...]:
        """Columns that may be strata, slices or split populations."""
        return self.attributes["feat_users"]


@cache
def feature_catalog() -> FeatureCatalog:
    """Read the catalog from `transforms/models/marts/*.yml`.

    Raises:
        BuildError: no feature is declared, one is declared twice, or a file has another shape than dbt's.
        SpecError: a file is not YAML.
    """
    features: dict[str, MartFeature] = {}
    texts: dict[str, str] = {}
    attributes: dict[str, tuple[str, ...]] = dict.fromkeys(MARTS, ())
    for path in sorted((TRANSFORMS / "models" / "marts").glob("*.yml")):
        # Somebody's new file about another table, empty or half-written, must not fail every pipeline.
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        if not any(mart in path.stem + text for mart in MARTS):
            continue
        document = read_document(path)
        try:
            for model in document.value.get("models", []):
                # labels.yml is in this folder too, but its columns are not features.
                if model["name"] in MARTS:
                    texts[path.relative_to(TRANSFORMS).as_posix()] = text
                    _read_mart(model, features, attributes)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # dbt would say so with its whole schema; it runs only when everything else of a pipeline is known.
            raise BuildError(
                f"{path}: found another shape than that of dbt's `models:` ({type(error).__name__}: {error}); expected "
                "a list of models with `name` and `columns`, each column with `name` and maybe `config: {meta: …}`"
            ) from None
    if not features:
        raise BuildError(f"{TRANSFORMS}/models/marts: no feature is declared there")
    return FeatureCatalog(features, attributes, texts)


def _read_mart(model: dict[str, Any], features: dict[str, MartFeature], attributes: dict[str, tuple[str, ...]]) -> None:
    mart = model["name"]
    for column in model["columns"]:
        name, meta = column["name"], column.get("config", {}).get("meta", {})
        # Features are the columns with a default, since they need a value where a mart has no row.
        if "default" in meta:
            if name in features:
                other = features[name].mart
                raise BuildError(
                    f"{TRANSFORMS}/models/marts: the feature {name!r} is declared by {other} and {mart}; "
                    "expected one home, so that its name says where it comes from"
                )
            text = " ".join(column.get("description", "").split())
            window = int(meta.get("window", _window_of(name)))
            default = float(meta["default"])
            features[name] = MartFeature(name, mart, MARTS[mart], default, text, window)
        elif meta.get("attribute"):
            attributes[mart] += (name,)


def _window_of(name: str) -> int:
    match = re.search(r"_(\d+)d$", name)
    return int(match[1]) if match else 0
