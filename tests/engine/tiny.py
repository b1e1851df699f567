"""A published version small enough to read: two users, four items, two populations, every node type."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.descriptor import ArtifactEntry, Descriptor, artifact_entry, content_digest, write_descriptor
from engine.npz import save_arrays
from engine.ranking import Request, golden, load

USERS = np.array(["ana", "bob"])
ITEMS = np.array(["i1", "i2", "i3", "i4", "i5"])
FEATURES = ["item_plays_7d", "user_plays_28d", "pair_plays_28d", "share_28d", "als_score", "similar_score"]
REQUESTS = [
    Request(user_id="ana", k=3),
    Request(user_id="bob", k=5),
    Request(user_id="stranger", k=5),
    Request(user_id="ana", k=5, candidates=("i4", "nonsense", "i1", "i5", "i4")),
    Request(user_id="ana", k=2, context={"region": "BR"}),
]


def lookup(name: str, entity: str, default: float | None = 0.0) -> dict[str, Any]:
    return {
        "type": "Lookup",
        "name": name,
        "entity": entity,
        "default": default,
        "artifact": f"features/{entity}.parquet",
    }


def document() -> dict[str, Any]:
    """Return the descriptor as JSON, without artifacts and golden requests."""
    scoring = {
        "type": "ScoringRanker",
        "retrieve": {
            "type": "Union",
            "of": [
                {"type": "History", "k": 2, "artifact": "history.npz"},
                {"type": "ALS", "k": 2, "artifact": "als.npz"},
                {"type": "ItemItem", "k": 2, "artifact": "item_item.npz"},
                {"type": "Popularity", "k": 3, "artifact": "popularity.npz"},
            ],
        },
        "scorer": {
            "type": "FeatureScorer",
            "features": [
                lookup("item_plays_7d", "item"),
                lookup("user_plays_28d", "user"),
                lookup("pair_plays_28d", "user_item"),
                lookup("share_28d", "user_category", None),
                {"type": "Dot", "name": "als_score", "artifact": "als.npz", "default": 0.0},
                {"type": "Score", "name": "similar_score", "of": "ItemItem", "default": 0.0},
            ],
            "function": {"type": "Trees", "artifact": "trees.txt"},
        },
        "rerank": [],
    }
    other = {
        **scoring,
        "scorer": {**scoring["scorer"], "function": {"type": "Linear", "weights": [1, 2, 3, 4, 5, 0.5]}},
        "rerank": [
            {"type": "ExcludeSeen", "artifact": "history.npz"},
            {"type": "Diversify", "by": "category", "strength": 0.5},
        ],
    }
    return {
        "format": "matinee/1",
        "pipeline": "tiny",
        "version": "2026-02-28.00000001",
        "as_of": "2026-02-28",
        "ranker": {
            "type": "PopulationRanker",
            "by": "region",
            "artifact": "features/user.parquet",
            "of": {"BR": {"$ref": "#/rankers/BR"}, "*": {"$ref": "#/rankers/*"}},
        },
        "rankers": {"BR": other, "*": scoring},
    }


def tables(folder: Path) -> None:
    def write(name: str, **columns: Any) -> None:
        pq.write_table(pa.table(columns), folder / name)

    def real(*values: float | None) -> pa.Array:
        return pa.array(values, pa.float32())

    (folder / "features").mkdir()
    write(
        "catalogue.parquet",
        item_id=ITEMS.tolist(),
        title=["One", "Two", "Three", "Four", "Five"],
        category=["drama", "news", "drama", None, "news"],
        available=[True, True, True, True, False],
    )
    write(
        "features/user.parquet",
        user_id=["bob", "ana"],
        region=["BR", "US"],
        user_plays_28d=real(7.0, None),
    )
    write("features/item.parquet", item_id=["i1", "i2", "gone"], item_plays_7d=real(3.0, 5.0, 9.0))
    write(
        "features/user_item.parquet",
        user_id=["ana", "ana", "bob"],
        item_id=["i3", "i1", "i1"],
        pair_plays_28d=real(2.0, 1.0, 4.0),
    )
    write("features/user_category.parquet", user_id=["ana"], category=["drama"], share_28d=real(0.75))


def history_arrays(users: Any, items: Any, pasts: list[dict[int, float]]) -> dict[str, Any]:
    """The file of a `History`: the score of each item number in the past of each user."""
    return {
        "user_ids": users,
        "item_ids": items,
        "offsets": np.cumsum([0, *map(len, pasts)]),
        "items": np.array([item for past in pasts for item in past], dtype=np.int32),
        "scores": np.array([score for past in pasts for score in past.values()], dtype=np.float32),
    }


def arrays(folder: Path) -> None:
    past = history_arrays(USERS, ITEMS, [{2: 2.0, 0: 1.0}, {0: 4.0}])
    random = np.random.default_rng(0)
    save_arrays(folder / "history.npz", **past)
    save_arrays(
        folder / "item_item.npz",
        **past,
        starts=np.array([0, 2, 3, 4, 4, 4]),
        neighbours=np.array([1, 3, 0, 3], dtype=np.int32),
        similarity=np.array([0.5, 0.2, 0.5, 0.9], dtype=np.float32),
    )
    save_arrays(
        folder / "als.npz",
        user_ids=USERS,
        item_ids=ITEMS,
        user_factors=random.normal(size=(2, 3)).astype(np.float32),
        item_factors=random.normal(size=(5, 3)).astype(np.float32),
        regularization=0.1,
        regularization_per_item=0.0,
        alpha=1.0,
    )
    popular = np.array([1.0, 4.0, 2.0, 3.0, 9.0], dtype=np.float32)
    save_arrays(folder / "popularity.npz", item_ids=ITEMS, scores=popular)


def model(folder: Path) -> None:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(300, len(FEATURES))).round(1)
    matrix[random.random(matrix.shape) < 0.1] = np.nan
    target = np.nan_to_num(matrix).sum(axis=1)
    settings = {"objective": "regression", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    lgb.train(settings, lgb.Dataset(matrix, target, feature_name=FEATURES), 10).save_model(folder / "trees.txt")


def entries(folder: Path) -> dict[str, ArtifactEntry]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "descriptor.json"]
    return {str(p.relative_to(folder)): artifact_entry(p) for p in files}


def publish(folder: Path, change: dict[str, Any] | None = None) -> Path:
    """Make a whole version in `folder`; `change` replaces top-level keys of the descriptor."""
    folder.mkdir(parents=True)
    tables(folder)
    arrays(folder)
    model(folder)
    artifacts = entries(folder)
    plain = {**document(), "artifacts": artifacts, "content": content_digest(artifacts), **(change or {})}
    descriptor = Descriptor.model_validate(plain)
    assert descriptor.as_of == date(2026, 2, 28)
    write_descriptor(folder, descriptor)
    vectors = golden(load(folder, unpublished=True), REQUESTS)
    write_descriptor(folder, descriptor.model_copy(update={"golden": vectors}))
    return folder
