"""What we fit ourselves has the same bytes on other processors: compiled for one, with numpy's instructions for one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
FITTED = """
import hashlib, json, pathlib, sys, tempfile
from tasks.training.models import save_model
from tests.tasks.training.test_ranker_contract import CASES, FEATURES, trained
from tests.tasks.handmade import spec_of
digests = {}
for name, ranker in CASES.items():
    if ranker["type"] in ("linear", "fm"):
        with tempfile.TemporaryDirectory() as folder:
            save_model(trained(spec_of(ranker=ranker, features=FEATURES)), pathlib.Path(folder, "model"))
            files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
            digests[name] = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
print(json.dumps(digests))
"""
PROCESSORS = {
    "this one": {},
    "an old one": {
        **{"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "", "OPENBLAS_CORETYPE": "Nehalem"},
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    },
}


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="compiles for another x86-64 processor")
@pytest.mark.slow
def test_every_processor_fits_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name, added in PROCESSORS.items():
        environment = {**os.environ, **added, "NUMBA_CACHE_DIR": str(tmp_path / name)}
        command = [sys.executable, "-c", FITTED]
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert len(found[0]) >= 6
    assert found[0] == found[1]
