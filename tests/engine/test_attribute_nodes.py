"""Nodes that read attributes: of tables, of lists, and of the context of a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.candidates import Candidates
from engine.descriptor import Descriptor, Request, content_digest, write_descriptor
from engine.errors import ArtifactError, RequestError
from engine.ranking import Engine, load
from engine.sealed import sealed
from engine.tables import Catalog, FeatureTable
from tests.engine.tiny import ITEMS, arrays, document, entries, tables

TEXTS = {"user_job": ["baker", "smith"], "item_color": ["blue", "red"], "request_device": ["phone", "tv"]}
CATEGORIES = "categories.json"
FEATURES: list[dict[str, Any]] = [
    {"type": "Category", "name": "user_job", "entity": "user", "artifact": "features/user.parquet"},
    {"type": "Category", "name": "item_color", "entity": "item", "artifact": "features/item.parquet"},
    {"type": "RequestCategory", "name": "request_device", "key": "device"},
    {"type": "RequestNumber", "name": "request_hour", "key": "hour", "kind": "number"},
    {"type": "RequestNumber", "name": "request_signed_in", "key": "signed_in", "kind": "boolean"},
    {
        "type": "Overlap",
        "name": "item_genres_overlap",
        "artifact": "features/item_genres_overlap.parquet",
        "items_artifact": "features/item.parquet",
    },
]


def version(folder: Path, rerank: list[dict[str, Any]] | None = None) -> Path:
    """Write a version whose features are attributes; ana is a baker, bob of a job that nobody knows."""
    folder.mkdir(parents=True)
    tables(folder)
    arrays(folder)
    (folder / CATEGORIES).write_text(json.dumps(TEXTS))
    users = {"user_id": ["bob", "ana"], "user_job": ["wizard", "baker"], "region": ["BR", "US"]}
    items = {"item_id": ["i3", "i1", "i2"], "item_color": ["red", "green", None]}
    lists = {"item_genres_overlap": [["war"], ["war", "noir"], None]}
    past = {"user_id": ["ana", "ana"], "value": ["noir", "war"], "actions": [1, 3]}
    pq.write_table(pa.table(users), folder / "features/user.parquet")
    pq.write_table(pa.table({**items, **lists}), folder / "features/item.parquet")
    pq.write_table(pa.table(past), folder / "features/item_genres_overlap.parquet")
    features = [{**f, **({"categories_artifact": CATEGORIES} if f["name"] in TEXTS else {})} for f in FEATURES]
    scorer = {
        "type": "FeatureScorer",
        "features": features,
        "function": {"type": "Linear", "weights": [1.0] * len(features)},
    }
    union = document()["rankers"]["*"]["retrieve"]
    ranker = {"type": "ScoringRanker", "retrieve": union, "scorer": scorer, "rerank": rerank or []}
    artifacts = entries(folder)
    plain = {**document(), "ranker": ranker, "rankers": {}}
    write_descriptor(
        folder,
        Descriptor.model_validate({**plain, "artifacts": artifacts, "content": content_digest(artifacts)}),
    )
    return folder


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load(version(tmp_path_factory.mktemp("attributes") / "version"), unpublished=True)


def features(engine: Engine, *requests: Request) -> list[list[float]]:
    """The features of the items i1, i2 and i3 for each request."""
    users = np.array([request.user_id for request in requests])
    items = np.tile(np.arange(3, dtype=np.int32), len(requests))
    candidates = Candidates(np.arange(0, len(items) + 1, 3), items)
    return engine.populations.rankers["*"].scorer.matrix(requests, users, candidates).tolist()  # type: ignore[no-any-return]


def test_every_kind_of_attribute_is_a_feature(engine: Engine) -> None:
    nan = np.nan
    context = {"device": "tv", "hour": 21, "signed_in": True, "nobody reads this": "x"}
    requests = [Request.model_validate({"user_id": "ana", "context": context}), Request(user_id="bob")]
    requests.append(Request(user_id="nobody", context={"device": "a watch", "signed_in": False}))
    np.testing.assert_array_equal(
        features(engine, *requests),
        [
            # a text that the dictionary lacks is missing, like none at all: green, wizard, a watch
            [0, nan, 1, 21, 1, 1.0], [0, nan, 1, 21, 1, 0.0], [0, 1, 1, 21, 1, 0.75],
            [nan, nan, nan, nan, nan, 0], [nan, nan, nan, nan, nan, 0], [nan, 1, nan, nan, nan, 0],
            [nan, nan, nan, nan, 0, 0], [nan, nan, nan, nan, 0, 0], [nan, 1, nan, nan, 0, 0],
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({"hour": "nine"}, 'context.hour: found "nine", expected a number'),
        ({"hour": True}, "context.hour: found true, expected a number"),
        ({"hour": 1e39}, "context.hour: found 1e.39, expected at most 3.4e.38"),
        ({"signed_in": 1.0}, "context.signed_in: found 1.0, expected true or false"),
        ({"signed_in": "yes"}, 'context.signed_in: found "yes", expected true or false'),
        ({"device": 7.0}, "context.device: found 7.0, expected a text"),
        ({"device": False}, "context.device: found false, expected a text"),
    ],
)
def test_a_value_of_another_type_is_refused(engine: Engine, context: dict[str, Any], text: str) -> None:
    with pytest.raises(RequestError, match=text):
        engine.rank([Request(user_id="ana", context=context)])


def test_an_explanation_has_the_context_that_was_read(engine: Engine) -> None:
    request = Request(user_id="ana", context={"device": "tv", "nobody reads this": "x"})
    assert engine.explain(request)[1].context == {"device": "tv"}


def test_a_list_is_diversified_by_an_attribute_of_items(tmp_path: Path) -> None:
    rule = {"type": "Diversify", "by": "item_color", "artifact": "features/item.parquet", "strength": 1.0}
    ranker = load(version(tmp_path / "version", [rule]), unpublished=True).populations.rankers["*"]
    assert ranker.diversity is not None
    kinds = ranker.diversity.classes
    assert ranker.diversity.weights.tolist() == [1.0] * 3
    assert len(kinds) == len(ITEMS)
    # i1 is green, i3 red; i2 has no color, and i4 and i5 no row: those three are of one kind
    assert kinds[1] == kinds[3] == kinds[4]
    assert len({kinds[0], kinds[1], kinds[2]}) == 3


def test_a_list_is_diversified_by_the_values_of_lists(tmp_path: Path) -> None:
    rule = {"type": "Diversify", "by": "item_genres_overlap", "artifact": "features/item.parquet", "strength": 0.5}
    diversity = load(version(tmp_path / "version", [rule]), unpublished=True).populations.rankers["*"].diversity
    assert diversity is not None
    # i1 is of war and noir, at half the strength each; i3 of war alone; i2, i4 and i5 of nothing, which is one kind
    assert diversity.classes.tolist() == [0, 1, 2, 1, 1]
    assert diversity.weights.tolist() == [0.25, 0.25, 0.5, 0.5]
    assert diversity.values[diversity.starts[2]] in diversity.values[: diversity.starts[1]]


@pytest.mark.parametrize("name", ["size", "sizes"])
def test_a_number_is_no_kind(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table({"item_id": ["i1"], "size": [1.0], "sizes": [[1]]}), tmp_path / "numbers.parquet")
    tables(tmp_path)
    table = FeatureTable.load(tmp_path / "numbers.parquet", "item", Catalog.load(tmp_path / "catalogue.parquet"))
    with pytest.raises(ArtifactError, match=f"column '{name}' is .*; expected a text or a list of texts"):
        table.kinds(name)


def test_a_column_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = version(tmp_path / "version")
    wrong = pa.table({"user_id": ["ana"], "region": ["US"], "user_job": [1.0]})
    pq.write_table(wrong, folder / "features/user.parquet")
    artifacts = entries(folder)
    plain = json.loads((folder / "descriptor.json").read_text())
    plain |= {"artifacts": {name: entry.model_dump() for name, entry in artifacts.items()}}
    plain["content"] = content_digest(artifacts)
    (folder / "descriptor.json").write_text(json.dumps(sealed(plain)))
    with pytest.raises(ArtifactError, match="column 'user_job' is double; expected a text"):
        load(folder, unpublished=True)
