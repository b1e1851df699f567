"""The contract of retrieval models: every type of the registry, with its variants, has to pass every test here."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from engine.items import Ragged
from engine.loader import RETRIEVERS, Wiring
from engine.npz import load_arrays, save_arrays
from engine.retrieval import Retriever
from engine.retriever_schema import RetrieverNode, UnionNode
from tasks.examples.blend_weights import fit_weights
from tasks.examples.learners.blend import written_weights
from tasks.examples.retrievers import RETRIEVAL_MODELS, model_of, node_identity, node_of, union_node
from tasks.spec.retrieval import Retrieval
from tasks.spec.retrievals.blend import BlendRetrieval
from tests.tasks.examples.planted import ITEMS, USERS, past_rows, planted
from tests.tasks.handmade import spec_of

CATALOG = [*ITEMS, "z_new"]
"""One item more than any model has seen; `p00` is not available."""
STRANGER = "stranger"


@dataclass(frozen=True)
class Case:
    """A retrieval as a pipeline file declares it.

    Attributes:
        settings: the part of the file.
        finds: what it must find: new items of a user's `taste`, the same as everybody of a `segment` gets, the user's
            `own` items, or what `all` act on most.
        beside: what else the file declares, for a blend.
    """

    settings: dict[str, Any]
    finds: str = "taste"
    beside: tuple[dict[str, Any], ...] = ()

    @property
    def parts(self) -> list[Retrieval]:
        """All that the file declares; the retrieval itself is the last."""
        every = (*self.beside, self.settings)
        return [TypeAdapter(Retrieval).validate_python({"k": 8, **settings}) for settings in every]

    @property
    def part(self) -> Retrieval:
        return self.parts[-1]


BLENDED = ({"type": "item_item", "regularization": 50.0}, {"type": "als", "factors": 2, "regularization": 5.0})
OF = [{"retrieval": "item_item", "weight": 2.0}, {"retrieval": "als"}]
FITTED = [{"retrieval": "item_item"}, {"retrieval": "als"}]
PROGRAM = {"command": ["python", "fit.py"], "code": "co_occurrence", "settings": {"size": 12}}
CASES = {
    "als": Case({"type": "als", "factors": 2, "regularization": 5.0}),
    "als by implicit": Case({"type": "als", "factors": 2, "regularization": 5.0, "solver": "implicit"}),
    "popularity": Case({"type": "popularity"}, finds="all"),
    "popularity of segments": Case({"type": "popularity", "by": "taste"}, finds="segment"),
    "history": Case({"type": "history"}, finds="own"),
    "recent history": Case({"type": "history", "half_life": "30d"}, finds="own"),
    "item_item": Case({"type": "item_item", "regularization": 50.0, "half_life": "30d"}),
    "cosine": Case({"type": "neighbors", "similarity": "cosine"}),
    "tfidf": Case({"type": "neighbors", "similarity": "tfidf", "half_life": "30d"}),
    "bm25": Case({"type": "neighbors", "similarity": "bm25", "neighbors": 8}),
    "rp3beta": Case({"type": "rp3beta", "alpha": 0.8, "beta": 0.4, "half_life": "30d"}),
    "markov": Case({"type": "markov", "smoothing": 1.0}),
    "bpr": Case({"type": "bpr", "factors": 4}),
    "logistic_mf": Case({"type": "logistic_mf", "factors": 2, "regularization": 2.0}),
    "topics": Case({"type": "topics", "topics": 2, "half_life": "30d"}),
    "clusters": Case({"type": "clusters", "clusters": 2, "factors": 2, "regularization": 5.0}, finds="segment"),
    "two towers": Case({"type": "onnx", "train": PROGRAM, "last": 6}),
    "blend of scores": Case({"type": "blend", "of": OF}, beside=BLENDED),
    "fitted blend": Case({"type": "blend", "of": FITTED, "fit": {"held_out": "3d"}}, beside=BLENDED),
    "blend of ranks": Case({"type": "blend", "of": OF, "by": "ranks", "depth": 25}, beside=BLENDED),
}
of_every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@pytest.fixture(autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with a program that trains."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(Path(__file__).parents[2] / "learners", folder / "learners")
    monkeypatch.setenv("MATINEE_PROJECT", str(folder))


def save(case: Case, folder: Path) -> list[Path]:
    """Write the files of all that the case declares, as of the cut."""
    now, files = planted(), []
    folder.mkdir(exist_ok=True)
    for part in case.parts:
        model = model_of(part)
        fitted = None if model.fit is None else model.fit(now.past, part)
        if isinstance(part, BlendRetrieval) and part.fit is not None:
            declared = [{"k": 8, **settings} for settings in (*case.beside, case.settings)]
            spec = spec_of(retrieval=declared, gates=[{"metric": "ndcg@10", "beats": "als"}])
            fit_weights(spec, part, part.fit, now.past, date(2026, 2, 28)).write(folder / part.files[0])
        elif model.arrays is not None:
            save_arrays(folder / part.files[0], **model.arrays(part, now, fitted))
        files += [folder / file for file in part.files]
    return files


def serve(case: Case, folder: Path) -> Retriever:
    """The retriever as a version has it: its file, its node, the catalog."""
    save(case, folder)
    texts = pa.array([""] * len(CATALOG))
    catalog = {"item_id": CATALOG, "title": texts, "category": texts, "available": [name != "p00" for name in CATALOG]}
    pq.write_table(pa.table(catalog), folder / "catalogue.parquet")
    union = UnionNode.model_validate_json(
        union_node(case.parts, "", written_weights(case.parts, folder)).model_dump_json()
    )  # as a descriptor has it
    return Wiring(folder, "catalogue.parquet").retrievers(union)[node_identity(case.part)]


def lists_of(found: Ragged) -> list[list[str]]:
    return [[CATALOG[item] for item in part] for part in np.split(found.items, found.offsets[1:-1])]


def every_pair(users: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    rows = np.repeat(np.arange(len(users)), len(CATALOG))
    return rows, np.tile(np.arange(len(CATALOG), dtype=np.int32), len(users))


def test_every_registered_type_is_among_the_cases() -> None:
    assert {case.settings["type"] for case in CASES.values()} == set(RETRIEVAL_MODELS)
    assert {case.part.type for case in CASES.values()} == {
        get_args(part.model_fields["type"].annotation)[0] for part in get_args(get_args(Retrieval)[0])
    }


def test_every_node_serves_a_registered_type() -> None:
    nodes = {node.model_fields["type"].default for node in get_args(get_args(RetrieverNode)[0])}
    assert {node_of(case.part) for case in CASES.values()} == nodes
    assert set(RETRIEVERS) == nodes - {"RetrieverBlend"}  # which is made of others, and has no file


def test_types_that_share_a_node_are_told_apart() -> None:
    parts = {case.settings["type"]: case.part for case in CASES.values()}
    union = union_node(list(parts.values()), "retrieval/", written_weights(list(parts.values()), Path()))
    assert len({node.identity for node in union.of}) == len(RETRIEVAL_MODELS)


@of_every_case
def test_it_finds_what_is_planted(case: Case, tmp_path: Path) -> None:
    lists = dict(zip(USERS, lists_of(serve(case, tmp_path).retrieve(np.array(USERS), 40)), strict=True))
    own = {user: {row[1] for row in past_rows() if row[0] == user} for user in USERS}
    if case.finds == "own":
        assert {user: set(found) for user, found in lists.items()} == {user: own[user] - {"p00"} for user in USERS}
        return
    if case.finds == "all":
        recent = {item: sum(row[3] for row in past_rows() if row[1] == item and row[2] < 28) for item in ITEMS}
        counts = [recent[item] for item in lists["p00"]]
        assert counts == sorted(counts, reverse=True)
        assert len(counts) == len(ITEMS) - 1
        return
    new = {user: [item for item in found if item not in own[user]][:4] for user, found in lists.items()}
    hits = [item[0] == user[0] for user, found in new.items() for item in found]
    assert len(hits) == 4 * len(USERS)
    assert np.mean(hits) > 0.9


@of_every_case
def test_fitting_again_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    once, again = save(case, tmp_path / "once"), save(case, tmp_path / "again")
    assert once
    assert [file.read_bytes() for file in once] == [file.read_bytes() for file in again]


@of_every_case
def test_the_number_of_threads_changes_no_byte(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {}
    for threads in ("1", "2"):
        monkeypatch.setenv("MATINEE_THREADS", threads)
        files[threads] = [file.read_bytes() for file in save(case, tmp_path / threads)]
    assert files["1"] == files["2"]


@of_every_case
def test_a_file_holds_what_its_node_reads_and_no_more(case: Case, tmp_path: Path) -> None:
    for file in save(case, tmp_path):
        if file.suffix == ".json":
            continue  # fitted weights, which stand in the node
        part = next(part for part in case.parts if file.name in part.files)
        layout = RETRIEVERS[node_of(part)].LAYOUT
        with np.load(file, allow_pickle=False) as archive:
            assert set(archive.files) == set(layout)
        save_arrays(tmp_path / "again.npz", **load_arrays(file, layout))
        assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()


@of_every_case
def test_a_score_is_that_of_the_list_to_the_last_bit(case: Case, tmp_path: Path) -> None:
    retriever = serve(case, tmp_path)
    found = retriever.retrieve(np.array(USERS), 8)
    assert len(found.items) > len(USERS)
    rows = np.repeat(np.arange(len(USERS)), np.diff(found.offsets))
    assert retriever.score(np.array(USERS), rows, found.items).tobytes() == found.scores.tobytes()


@of_every_case
def test_one_user_gets_what_that_user_gets_among_many(case: Case, tmp_path: Path) -> None:
    retriever = serve(case, tmp_path)
    rows, items = every_pair(USERS)
    many, scores = retriever.retrieve(np.array(USERS), 8), retriever.score(np.array(USERS), rows, items)
    for number in (0, 31, 59):
        one = retriever.retrieve(np.array([USERS[number]]), 8)
        own = slice(many.offsets[number], many.offsets[number + 1])
        assert (one.items.tobytes(), one.scores.tobytes()) == (many.items[own].tobytes(), many.scores[own].tobytes())
        alone = retriever.score(np.array([USERS[number]]), *every_pair([USERS[number]]))
        assert alone.tobytes() == scores[rows == number].tobytes()


@of_every_case
def test_nobody_knows_a_stranger_or_a_new_item(case: Case, tmp_path: Path) -> None:
    retriever, for_all = serve(case, tmp_path), case.finds in {"all", "segment"}
    users = np.array([STRANGER, USERS[0]])
    strangers, own = lists_of(retriever.retrieve(users, 40))
    assert bool(strangers) == for_all  # what all act on is for strangers, too
    assert own
    assert not {"p00", "z_new"} & {*strangers, *own}
    scores = retriever.score(users, *every_pair([STRANGER, USERS[0]])).reshape(2, -1)
    assert np.isnan(scores[:, CATALOG.index("z_new")]).all()
    assert np.isnan(scores[0, :-1]).all() != for_all
