"""Golden answers compared exactly, or within what another processor may change."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from engine.agreement import first_difference, tolerance
from engine.descriptor import Descriptor, Ranked, content_digest, read_descriptor, write_descriptor
from engine.errors import ArtifactError, GoldenMismatch
from engine.ranking import golden, load
from tests.engine.tiny import FEATURES, REQUESTS, document, entries, publish
from tests.onnx_models import linear, save

LIST = [("a", 2.0), ("b", 1.0), ("c", 0.99999), ("d", -1.0)]


def answer(*places: tuple[str, float]) -> list[Ranked]:
    return [Ranked(item=item, score=score) for item, score in places]


@pytest.mark.parametrize(
    ("now", "exactly", "nearly"),
    [
        (LIST, None, None),
        ([("a", 2.00001), *LIST[1:]], 0, None),
        ([("a", 2.1), *LIST[1:]], 0, 0),
        ([LIST[0], ("c", 1.0), ("b", 0.99999), LIST[3]], 1, None),
        ([LIST[0], LIST[1], LIST[3], LIST[2]], 2, 2),
        ([("b", 2.0), ("a", 1.0), *LIST[2:]], 0, 0),
        ([*LIST[:3], ("e", -1.0)], 3, None),
        ([*LIST[:3], ("e", -0.5)], 3, 3),
        ([LIST[0], ("e", 1.0), *LIST[2:]], 1, 1),
        (LIST[:3], 3, 3),
        ([*LIST, ("e", -2.0)], 4, 4),
        ([], 0, 0),
    ],
)
def test_lists_differ_where_scores_do(now: list[tuple[str, float]], exactly: int | None, nearly: int | None) -> None:
    assert first_difference(answer(*LIST), answer(*now), 0.0) == exactly
    assert first_difference(answer(*LIST), answer(*now), 1e-4) == nearly


def test_two_empty_lists_agree() -> None:
    assert first_difference([], [], 0.0) is None


def test_a_version_of_trees_is_compared_exactly(tmp_path: Path) -> None:
    assert tolerance(read_descriptor(publish(tmp_path / "version"))) == 0.0


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version whose ranker of everybody else is a model of ONNX."""
    folder = publish(tmp_path / "version")
    save(linear([1.0, 2.0, 3.0, 4.0, 5.0, 0.5], FEATURES), folder / "model.onnx")
    plain, artifacts = document(), entries(folder)
    plain["rankers"]["*"]["scorer"]["function"] = {"type": "Onnx", "artifact": "model.onnx"}
    described = Descriptor.model_validate({**plain, "artifacts": artifacts, "content": content_digest(artifacts)})
    write_descriptor(folder, described)
    answers = golden(load(folder, unpublished=True), REQUESTS)
    write_descriptor(folder, described.model_copy(update={"golden": answers}))
    return folder


def test_a_model_of_onnx_ranks_as_published(version: Path) -> None:
    engine = load(version)
    assert golden(engine, REQUESTS) == engine.descriptor.golden
    many, alone = engine.rank(REQUESTS), [engine.rank([request])[0] for request in REQUESTS]
    assert many == alone


def test_another_processor_may_round_otherwise_and_no_more(version: Path) -> None:
    descriptor = read_descriptor(version)
    largest = max(place.score for place in descriptor.golden[0].response)

    def moved(by: float) -> Descriptor:
        first, *others = descriptor.golden[0].response
        changed = first.model_copy(update={"score": first.score + by * largest})
        vector = descriptor.golden[0].model_copy(update={"response": (changed, *others)})
        return descriptor.model_copy(update={"golden": (vector, *descriptor.golden[1:])})

    write_descriptor(version, moved(5e-5))
    assert load(version)
    write_descriptor(version, moved(2e-3))
    with pytest.raises(GoldenMismatch, match="golden request 0"):
        load(version)


def test_a_model_with_data_in_another_file_is_refused_when_its_version_is_loaded(version: Path) -> None:
    model = onnx.load(str(version / "model.onnx"))
    onnx.external_data_helper.set_external_data(model.graph.initializer[1], "/etc/passwd")
    save(model, version / "model.onnx")
    artifacts = entries(version)
    described = read_descriptor(version)
    changed = {**described.model_dump(), "artifacts": artifacts, "content": content_digest(artifacts)}
    write_descriptor(version, Descriptor.model_validate(changed))
    with pytest.raises(ArtifactError, match=r"model\.onnx: the tensor 'w' lies in another file"):
        load(version)
