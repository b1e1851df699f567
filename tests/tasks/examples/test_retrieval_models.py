"""What retrieval models are fitted on, and what names the folders that keep them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import threadpoolctl

from engine.als import Penalty, scaled_by_count
from tasks.examples.candidates import CANDIDATES, RetrieveResult, candidate_files, cut_folders
from tasks.examples.retrieval_models import Actions, Past, confidence, fit_als
from tasks.features.build import build_step, needed
from tasks.runs.run import Run
from tasks.sources.land import land_step
from tasks.spec.kinds import Interactions
from tasks.spec.retrieval import AlsRetrieval
from tasks.store.files import write_digests
from tests.tasks.handmade import finish_step
from tests.tasks.without_dbt import build_without_dbt, shop_run, write_files


def actions(users: int = 40, items: int = 30) -> Actions:
    random = np.random.default_rng(0)
    pairs = np.argwhere(random.random((users, items)) < 0.2)
    return Past.of(
        pa.table(
            {
                "user_id": [f"u{user:02}" for user, _ in pairs],
                "item_id": [f"i{item:02}" for _, item in pairs],
                "age": random.integers(0, 90, len(pairs)),
                "actions": np.ones(len(pairs)),
            }
        )
    ).matrix(30)


def test_an_action_counts_half_after_its_half_life() -> None:
    rows = {"user_id": ["u"] * 3, "item_id": ["a", "b", "c"], "age": [0, 7, 28], "actions": [3.0, 3.0, 3.0]}
    past = Past.of(pa.table(rows))
    assert past.matrix(14).counts.toarray().tolist() == [[3.0, np.float32(3.0 * 0.5**0.5), 0.75]]
    assert past.matrix(None).counts.toarray().tolist() == [[3.0, 3.0, 3.0]]


@pytest.mark.parametrize("solver", ["exact", "implicit"])
def test_both_solvers_find_the_same_items(solver: str) -> None:
    known = actions()
    part = {"type": "als", "factors": 4, "iterations": 3, "k": 1}
    items, penalty = fit_als(known, AlsRetrieval.model_validate({**part, "solver": solver}))
    exact, _ = fit_als(known, AlsRetrieval.model_validate(part))
    assert items.dtype == np.float32
    assert penalty == Penalty(20.0)
    np.testing.assert_allclose(items, exact, atol=1e-3)


def test_a_penalty_by_count_is_that_of_the_users() -> None:
    known = actions()
    part = AlsRetrieval(type="als", factors=4, regularize="by_count", k=1)
    expected, _ = scaled_by_count(20.0, 4.0, known.counts.shape, known.counts.nnz)
    assert fit_als(known, part)[1] == expected
    assert confidence(known.counts, 4.0).data.max() == pytest.approx(4.0, rel=0.1)


def built(folder: Path, monkeypatch: pytest.MonkeyPatch, **als: Any) -> Run:
    write_files(folder / "files", 14)
    run = shop_run(folder, 14, retrieval=[{"type": "als", "k": 5, **als}, {"type": "item_item", "k": 5}])
    land_step(run)
    build_without_dbt(monkeypatch, [])
    build_step(run)
    return run


def on(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe in a processor."""
    libraries = [
        {"user_api": "blas", "internal_api": "openblas", "architecture": kernel},
        {"user_api": "openmp", "internal_api": "openmp"},
    ]
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: libraries)


@pytest.mark.parametrize(("solver", "equal"), [("exact", True), ("implicit", False)])
def test_a_kernel_names_a_folder_only_where_bits_depend_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, solver: str, equal: bool
) -> None:
    run = built(tmp_path, monkeypatch, solver=solver)
    folders = []
    for kernel in ("Haswell", "SkylakeX"):
        on(kernel, monkeypatch)
        folders.append(cut_folders(run, needed(run)))
    assert (folders[0] == folders[1]) is equal


def test_other_weights_are_other_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = built(tmp_path, monkeypatch)
    folders = []
    for kinds in ({}, {"purchase": {"weight": 1}}, {"purchase": {"weight": 2}}, {"purchase": {"least": 2}}):
        spec = run.spec.model_copy(update={"interactions": Interactions.model_validate({"kinds": kinds})})
        weighted = replace(run, spec=spec)
        folders.append({folder.name for folder in cut_folders(weighted, needed(weighted)).values()})
    assert len(set.union(*folders)) == sum(map(len, folders))  # no cut is kept in a folder of the others


def test_candidates_made_on_another_processor_are_still_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = built(tmp_path, monkeypatch, solver="implicit")
    on("Haswell", monkeypatch)
    made = cut_folders(run, needed(run))
    names = {cut: str(folder.relative_to(run.home.root)) for cut, folder in made.items()}
    finish_step(run, "retrieve", RetrieveResult(data="d", cuts=3, made=3, folders=names, kernels=["Haswell"]).to_json())
    for folder in made.values():
        folder.mkdir(parents=True)
        (folder / CANDIDATES).touch()
        write_digests(folder)
    on("SkylakeX", monkeypatch)
    assert candidate_files(run) == {cut: made[cut] / CANDIDATES for cut in run.windows.refit}
