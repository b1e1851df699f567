"""The examples in PyTorch: they learn what is planted, and leave models that are served; skipped without PyTorch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from engine.items import Items
from engine.npz import save_arrays
from engine.towers import TwoTowers
from tasks.examples.arrays import matrix
from tasks.examples.learners.onnx import TWO_TOWERS, fit_towers
from tasks.spec.project import TOOL
from tasks.spec.retrieval import Retrieval
from tasks.training.learners.onnx import train
from tasks.training.reproducible import check_reproducible
from tests.tasks.examples.planted import ITEMS, USERS, planted
from tests.tasks.handmade import spec_of
from tests.tasks.training.test_ranker_contract import FEATURES, UNSEEN, WINDOWS, ndcg


def has_torch() -> bool:
    """Whether the programs would find PyTorch."""
    path = os.environ.get("MATINEE_COMMAND_PATH")
    python = shutil.which("python", path=path) if path else sys.executable
    probe = "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('onnx')))"
    return python is not None and subprocess.run([python, "-c", probe], check=False).returncode == 0


pytestmark = pytest.mark.skipif(not has_torch(), reason="needs PyTorch and onnx, in MATINEE_COMMAND_PATH or here")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(TOOL / "docs" / "examples" / "learners", tmp_path / "project" / "learners")
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path / "project"))


def program(code: str, **settings: Any) -> dict[str, Any]:
    return {"command": ["python", "train.py"], "code": code, "settings": settings}


def test_the_neural_ranker_finds_what_is_planted_twice_to_the_same_bytes() -> None:
    settings = {"type": "onnx", "train": program("neural_ranker", hidden=16, epochs=60)}
    spec = spec_of(ranker=settings, features=FEATURES)
    check_reproducible(WINDOWS["train"], spec, spec.ranker)

    model = train(WINDOWS["train"], spec, spec.ranker)

    chance = ndcg(np.random.default_rng(0).random(UNSEEN.num_rows))
    assert ndcg(model.scorer().predict(matrix(UNSEEN, FEATURES))) > chance + 0.75 * (1 - chance)


def test_the_sequence_model_retrieves_a_users_taste(tmp_path: Path) -> None:
    part = TypeAdapter(Retrieval).validate_python(
        {"type": "onnx", "train": program("next_items", size=8, epochs=150, learning_rate=0.02), "last": 6, "k": 8}
    )
    now = planted()
    fitted, again = (fit_towers(now.past, part) for _ in range(2))
    assert (fitted.model, fitted.vectors.tobytes()) == (again.model, again.vectors.tobytes())
    save_arrays(tmp_path / "towers.npz", **TWO_TOWERS.arrays(part, now, fitted))
    towers = TwoTowers.load(tmp_path / "towers.npz", Items.all(np.array(ITEMS)))

    found = towers.retrieve(np.array(USERS), 8)

    hits = [ITEMS[item][0] == USERS[n // 8][0] for n, item in enumerate(found.items.tolist())]
    # Half of them by chance; three days of each user do not teach a network more.
    assert np.mean(hits) > 0.65
