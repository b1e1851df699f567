"""A whole version: loads, ranks, answers one as many, and is refused when anything about it is not as published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from engine.candidates import Candidates
from engine.descriptor import (
    ArtifactEntry,
    Descriptor,
    Request,
    content_digest,
    descriptor_schema,
    descriptor_text,
    parse_descriptor,
    read_descriptor,
)
from engine.errors import ArtifactError, DescriptorError, EngineError, GoldenMismatch
from engine.node_schema import Ref, ScoringRankerNode
from engine.ranking import load
from engine.sealed import unsealed
from engine.seen import ExcludeSeen
from tests.engine.tiny import ITEMS, REQUESTS, document, entries, publish


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("registry") / "v1")


@pytest.fixture
def version(published: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(published, tmp_path / "v1")


def edit(version: Path, change: Callable[[dict[str, Any]], None]) -> None:
    plain = unsealed(json.loads((version / "descriptor.json").read_text()))
    change(plain)
    (version / "descriptor.json").write_text(json.dumps(plain))


def test_ranks_retrieved_and_given_candidates(published: Path) -> None:
    ana, bob, stranger, given, abroad = load(published).rank(REQUESTS)
    assert len(ana.items) == 3
    assert ana.scores == sorted(ana.scores, reverse=True)
    assert ana.population == "*"
    assert bob.population == "BR"
    assert "i1" not in bob.items  # seen
    assert "i5" not in bob.items  # not available
    assert sorted(stranger.items) == ["i2", "i3", "i4"]  # popularity only
    assert sorted(given.items) == ["i1", "i4"]
    assert given.unknown == ["nonsense", "i5"]
    assert given.titles == [{"i1": "One", "i4": "Four"}[item] for item in given.items]
    assert abroad.population == "BR"  # the context overrides the user's region
    assert set(abroad.items) <= {"i2", "i4"}


def test_features_come_from_the_tables(published: Path) -> None:
    scorer = load(published).populations.rankers["*"].scorer
    users = np.array(["ana", "stranger"])
    requests = [Request(user_id=user) for user in users.tolist()]
    matrix = scorer.matrix(requests, users, Candidates(np.array([0, 2, 3]), np.array([0, 3, 0], dtype=np.int32)))
    nan = np.nan
    np.testing.assert_array_equal(
        np.delete(matrix, 4, axis=1),
        np.array(
            [
                [3.0, nan, 1.0, 0.75, 0.0],
                [0.0, nan, 0.0, nan, np.float32(2.0 * 0.9 + 1.0 * 0.2)],
                [3.0, 0.0, 0.0, nan, 0.0],
            ],
            dtype=np.float32,
        ),
    )


def test_one_request_is_answered_as_among_many(published: Path) -> None:
    engine = load(published)
    assert engine.rank(REQUESTS * 200)[-5:] == [engine.rank([request])[0] for request in REQUESTS]
    assert engine.rank([]) == []


def test_round_trip(published: Path) -> None:
    descriptor = read_descriptor(published)
    text = descriptor_text(descriptor)
    assert (published / "descriptor.json").read_text() == text
    again = parse_descriptor(text, "text")
    assert again == descriptor
    assert descriptor_text(again) == text


def test_the_schema_is_closed() -> None:
    schema = descriptor_schema()
    assert schema["additionalProperties"] is False
    assert {"TreesNode", "AlsNode", "PopulationRankerNode"} <= set(schema["$defs"])
    assert Ref.to("a/b~c").target == "a/b~c"


@pytest.mark.parametrize("name", ["trees.txt", "als.npz", "features/user.parquet", "catalogue.parquet", "history.npz"])
def test_altered_artifacts_are_refused(version: Path, name: str) -> None:
    content = bytearray((version / name).read_bytes())
    content[len(content) // 2] ^= 1
    (version / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name}.*altered after publishing"):
        load(version)
    (version / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}: cannot be read"):
        load(version)


def list_again(version: Path) -> Callable[[dict[str, Any]], None]:
    """Put the artifacts as they are now into the descriptor."""
    artifacts = entries(version)
    plain = {name: entry.model_dump() for name, entry in artifacts.items()}
    return lambda descriptor: descriptor.update(artifacts=plain, content=content_digest(artifacts))


@pytest.mark.parametrize("name", ["trees.txt", "als.npz", "features/user.parquet", "catalogue.parquet"])
@pytest.mark.parametrize("keep", [0.0, 0.4, 0.9])
def test_truncated_artifacts_are_refused_even_with_a_matching_digest(version: Path, name: str, keep: float) -> None:
    content = (version / name).read_bytes()
    if name == "trees.txt":
        content = content[: content.index(b"end of trees")]
    (version / name).write_bytes(content[: int(len(content) * keep)])
    edit(version, list_again(version))
    with pytest.raises(ArtifactError, match=name):
        load(version)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", "a\\b", ".", "a//b", ""])
def test_paths_that_lead_out_are_refused(version: Path, name: str) -> None:
    edit(version, lambda plain: plain["artifacts"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    with pytest.raises(DescriptorError, match="no path inside"):
        load(version)


def test_links_that_lead_out_are_refused(version: Path, tmp_path: Path) -> None:
    (version / "trees.txt").rename(tmp_path / "trees.txt")
    (version / "trees.txt").symlink_to(tmp_path / "trees.txt")
    with pytest.raises(ArtifactError, match="leads out"):
        load(version)


def put(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(plain: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for key in parents:
            plain = plain[key]
        plain[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (put("format", "matinee/2"), "format 'matinee/2'; this engine reads 'matinee/1'"),
        (put("surprise", 1), "surprise: Extra inputs"),
        (put("ranker.type", "Magic"), "ranker.*Magic"),
        (put("rankers.BR.scorer.function", {"type": "Pickle", "artifact": "x"}), "'Pickle'"),
        (put("ranker.of.US", {"$ref": "#/rankers/UK"}), "points at #/rankers/UK"),
        (put("ranker.of", {"BR": {"$ref": "#/rankers/BR"}}), r"no '\*'"),
        (put("rankers.BR.scorer.function", {"type": "Linear", "weights": [1]}), "1 weights for 6 features"),
        (put("rankers.BR.scorer.function", {"type": "Column", "name": "als_scor"}), "did you mean 'als_score'"),
        (put("rankers.BR.scorer.function", {"type": "Trees", "artifact": "tree.txt"}), "did you mean 'trees.txt'"),
        (put("rankers.BR.retrieve.of", [{"type": "ALS", "k": 1, "artifact": "als.npz"}]), "ItemItem, which does not"),
        (put("rankers.BR.retrieve.of", []), "at least 1"),
        (put("content", "0" * 64), r"content is 000000000000…, but the listed artifacts have [0-9a-f]{12}…"),
    ],
)
def test_malformed_descriptors_are_refused(version: Path, change: Callable[[dict[str, Any]], None], text: str) -> None:
    edit(version, change)
    with pytest.raises(DescriptorError, match=text):
        load(version)


def test_the_content_digest_covers_names_and_bytes_in_any_order(version: Path) -> None:
    artifacts = entries(version)
    content = content_digest(artifacts)
    assert read_descriptor(version).content == content
    assert content_digest(dict(reversed(artifacts.items()))) == content
    renamed = {name.replace("als", "other"): entry for name, entry in artifacts.items()}
    other = {**artifacts, "als.npz": ArtifactEntry(sha256="0" * 64, bytes=1)}
    assert len({content, content_digest(renamed), content_digest(other)}) == 3


def test_a_version_known_by_other_contents_is_refused(version: Path) -> None:
    content = read_descriptor(version).content
    assert load(version, content=content).descriptor.content == content
    with pytest.raises(ArtifactError) as caught:
        load(version, content="0" * 64)
    assert str(caught.value) == (
        f"{version}: holds other contents ({content[:12]}…) than were published under this name (000000000000…); "
        "restore the version's folder from a backup, or remove it and publish its day again"
    )


def test_unreadable_descriptors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match="is this a published version"):
        load(tmp_path)
    for text in ("", "{", "[]", "null", "[" * 100_000):
        (tmp_path / "descriptor.json").write_text(text)
        with pytest.raises(DescriptorError):
            load(tmp_path)


def test_another_answer_than_the_golden_one_is_refused(version: Path) -> None:
    def change(plain: dict[str, Any]) -> None:
        first = plain["golden"][0]["response"][0]
        first["score"] = float(np.nextafter(first["score"], np.inf))

    edit(version, change)
    with pytest.raises(GoldenMismatch, match=r"golden request 0 \(user 'ana'\) is answered otherwise at place 1"):
        load(version)


def test_a_version_without_golden_requests_is_refused(version: Path) -> None:
    edit(version, put("golden", []))
    with pytest.raises(GoldenMismatch, match="no golden requests"):
        load(version)
    assert load(version, unpublished=True).rank([REQUESTS[0]])


def test_a_model_of_other_features_is_refused(version: Path) -> None:
    text = (version / "trees.txt").read_text()
    (version / "trees.txt").write_text(text.replace("item_plays_7d", "item_plays_8d"))
    edit(version, list_again(version))
    with pytest.raises(ArtifactError, match="names and order must be equal"):
        load(version)


def test_the_past_that_is_retrieved_from_is_the_one_that_is_excluded(tmp_path: Path) -> None:
    plain = {**document()["rankers"]["*"], "rerank": [{"type": "ExcludeSeen", "artifact": "history.npz"}]}
    ranker = load(publish(tmp_path / "v", {"ranker": plain, "rankers": {}})).populations.rankers["*"]
    assert isinstance(ranker.seen, ExcludeSeen)
    assert any(ranker.seen.seen is retriever for retriever, _ in ranker.retrievers)  # a file is loaded once


def with_rule(kind: str) -> dict[str, Any]:
    return {**document()["rankers"]["*"], "rerank": [{"type": kind, "artifact": "history.npz"}]}


def test_only_what_was_seen_is_listed_of_given_candidates_too(tmp_path: Path) -> None:
    version = publish(tmp_path / "v", {"ranker": with_rule("OnlySeen"), "rankers": {}})
    ana, bob, stranger, given, _ = load(version).rank(REQUESTS)
    assert sorted(ana.items) == ["i1", "i3"]
    assert bob.items == ["i1"]
    assert stranger.items == []
    assert given.items == ["i1"]


def test_places_of_seen_items_go_to_others(tmp_path: Path) -> None:
    """Popularity retrieves 3: without the rule i2, i4 and i3, of which ana has seen i3."""
    version = publish(tmp_path / "v", {"ranker": with_rule("ExcludeSeen"), "rankers": {}})
    engine = load(version)
    assert sorted(engine.rank([Request(user_id="ana", k=9)])[0].items) == ["i2", "i4"]
    assert sorted(engine.rank([Request(user_id="bob", k=9)])[0].items) == ["i2", "i3", "i4"]


def test_a_ranker_with_two_rules_for_what_was_seen_is_refused() -> None:
    rules = [{"type": kind, "artifact": "history.npz"} for kind in ("ExcludeSeen", "OnlySeen")]
    with pytest.raises(ValidationError, match="more than one of ExcludeSeen and OnlySeen"):
        ScoringRankerNode.model_validate({**document()["rankers"]["*"], "rerank": rules})


def two_of_a_type(names: tuple[str | None, str | None]) -> dict[str, Any]:
    """A ranker with two retrievers of one file and type, and the scores of both."""
    plain = document()["rankers"]["*"]
    parts = [{"type": "ALS", "k": 2, "artifact": "als.npz", **({"name": name} if name else {})} for name in names]
    features = [
        {"type": "Score", "name": f"{name or 'als'}_score", "of": name or "ALS", "default": 0.0} for name in names
    ]
    function = {"type": "Linear", "weights": [1.0, 0.5]}
    return {
        **plain,
        "retrieve": {"type": "Union", "of": parts},
        "scorer": {"type": "FeatureScorer", "features": features, "function": function},
    }


def test_several_retrievers_of_a_type_are_told_apart_by_their_names(tmp_path: Path) -> None:
    version = publish(tmp_path / "v", {"ranker": two_of_a_type((None, "recent")), "rankers": {}})
    engine = load(version)
    answer, why = engine.explain(Request(user_id="ana", k=2))
    assert answer.items
    assert why.names == ("als_score", "recent_score")
    np.testing.assert_array_equal(why.values[:, 0], why.values[:, 1])
    first, second = json.loads((version / "descriptor.json").read_text())["ranker"]["retrieve"]["of"]
    assert "name" not in first
    assert second["name"] == "recent"


@pytest.mark.parametrize("names", [(None, None), ("recent", "recent"), (None, "ALS")])
def test_two_retrievers_of_one_name_are_refused(names: tuple[str | None, str | None]) -> None:
    with pytest.raises(ValidationError, match=r"two retrievers of one union are called (ALS|recent)"):
        ScoringRankerNode.model_validate(
            {**two_of_a_type((None, "recent")), "retrieve": two_of_a_type(names)["retrieve"]}
        )


def test_a_feature_of_a_retriever_that_is_not_there_is_refused_with_the_nearest_name() -> None:
    bad = {**two_of_a_type((None, "recent")), "retrieve": two_of_a_type((None, "resent"))["retrieve"]}
    with pytest.raises(ValidationError, match=r"'recent_score' is of the score of recent, .* did you mean 'resent'"):
        ScoringRankerNode.model_validate(bad)


def test_a_ranker_needs_no_populations(tmp_path: Path) -> None:
    plain = document()["rankers"]["*"]
    version = publish(tmp_path / "v", {"ranker": plain, "rankers": {}})
    assert {response.population for response in load(version).rank(REQUESTS)} == {"*"}


@pytest.mark.parametrize(
    "bad",
    [{"user_id": ""}, {"user_id": "a", "k": 0}, {"user_id": "a", "extra": 1}, {"user_id": "a", "candidates": "b"}],
)
def test_requests_are_closed(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Request.model_validate(bad)


def test_errors_have_one_root() -> None:
    for kind in (ArtifactError, DescriptorError, GoldenMismatch):
        assert issubclass(kind, EngineError)


def test_descriptor_lists_what_it_uses() -> None:
    with pytest.raises(ValidationError, match="used but not listed"):
        Descriptor.model_validate({**document(), "artifacts": {}, "content": content_digest({})})
    assert len(ITEMS) == 5


def test_an_explained_answer_is_the_answer_and_its_features_give_its_scores(published: Path) -> None:
    engine = load(published)
    for request in REQUESTS:
        answer, why = engine.explain(request)

        assert answer == engine.rank([request])[0]
        assert why.values.shape == (len(answer.items), len(why.names))
        function = engine.populations.rankers[answer.population].scorer.function
        assert function.predict(why.values).tolist() == answer.scores


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that draws lists: of BR by ranks, after making them diverse; of everybody else by scores."""
    rankers = document()["rankers"]
    rankers["*"]["rerank"] = [{"type": "Softmax", "temperature": 1.0, "seed": 7}]
    rankers["BR"]["rerank"].append({"type": "Dithering", "epsilon": 2.0, "seed": 7})
    return publish(tmp_path_factory.mktemp("registry") / "v1", {"rankers": rankers})


def test_drawn_lists_have_propensities_in_answers_and_golden_vectors(drawing: Path) -> None:
    engine = load(drawing)
    for response in engine.rank(REQUESTS):
        assert response.propensities is not None
        assert len(response.propensities) == len(response.items)
        assert all(0.0 < propensity <= 1.0 for propensity in response.propensities)
    for vector, response in zip(engine.descriptor.golden, engine.rank(REQUESTS), strict=True):
        assert [ranked.propensity for ranked in vector.response] == response.propensities


def test_a_drawn_list_is_the_same_alone_as_among_others_and_its_beginning_that_of_a_longer_one(drawing: Path) -> None:
    engine = load(drawing)
    requests = [Request(user_id="ana", k=3, request_id=f"r{n}") for n in range(20)]
    together = engine.rank(requests)
    assert [engine.rank([request])[0] for request in requests] == together
    longer = engine.rank([request.model_copy(update={"k": 10}) for request in requests])
    assert [response.items[:3] for response in longer] == [response.items for response in together]
    assert len({tuple(response.items) for response in together}) > 1


def test_lists_that_are_not_drawn_have_no_propensities(published: Path) -> None:
    engine = load(published)
    assert engine.rank(REQUESTS)[0].propensities is None
    assert "propensity" not in descriptor_text(engine.descriptor)


def test_a_list_is_drawn_once() -> None:
    plain = document()["rankers"]["*"]
    plain["rerank"] = [{"type": "Softmax", "temperature": 1.0, "seed": 7}] * 2
    with pytest.raises(ValidationError, match="more than one of Softmax and Dithering; a list is drawn once"):
        ScoringRankerNode.model_validate(plain)


def test_discounts_come_before_the_order_and_are_in_the_scores(published: Path, tmp_path: Path) -> None:
    rankers = document()["rankers"]
    rankers["*"]["rerank"] = [{"type": "Discount", "feature": "item_plays_7d", "strength": 5.0}]
    engine, plain = load(publish(tmp_path / "v1", {"rankers": rankers})), load(published)
    request = Request(user_id="stranger")
    after, before = engine.rank([request])[0], plain.rank([request])[0]
    scorer = plain.populations.rankers["*"].scorer
    assert sorted(after.items) == sorted(before.items)
    assert after.scores == sorted(after.scores, reverse=True)
    lost = {item: score - dict(zip(after.items, after.scores, strict=True))[item]
            for item, score in zip(before.items, before.scores, strict=True)}  # fmt: skip
    plays = plain.explain(request)[1].values[:, scorer.names.index("item_plays_7d")]
    expected = 5.0 * np.std(before.scores) * np.log1p(plays)
    assert list(lost.values()) == pytest.approx(expected.tolist(), abs=1e-6)
    assert engine.rank([request, Request(user_id="ana")])[0] == after


def test_a_discount_is_by_a_feature_of_the_scorer() -> None:
    plain = document()["rankers"]["*"]
    plain["rerank"] = [{"type": "Discount", "feature": "item_play_7d", "strength": 1.0}]
    with pytest.raises(ValidationError, match="no feature 'item_play_7d' to discount by; did you mean 'item_plays_7d'"):
        ScoringRankerNode.model_validate(plain)
