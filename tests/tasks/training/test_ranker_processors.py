"""What we fit ourselves has the same bytes on every processor."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_processors import processors

PROJECT = Path(__file__).parents[3]
FITTED = """
import hashlib, json, pathlib, tempfile
from tasks.training.models import save_model
from tests.tasks.handmade import spec_of
from tests.tasks.training.test_ranker_contract import CASES, FEATURES, trained
digests = {}
for name, ranker in CASES.items():
    if ranker["type"] in ("linear", "fm"):
        with tempfile.TemporaryDirectory() as folder:
            save_model(trained(spec_of(ranker=ranker, features=FEATURES)), pathlib.Path(folder, "model"))
            files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
            digests[name] = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
print(json.dumps(digests))
"""


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="knows the kernels of x86-64 alone")
@pytest.mark.slow
def test_every_processor_fits_the_same_bytes(tmp_path: Path) -> None:
    found = {}
    for name, added in processors().items():
        environment = {**os.environ, **added, "NUMBA_CACHE_DIR": str(tmp_path / name)}
        command = [sys.executable, "-c", FITTED]
        done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout.splitlines()[-1])
    first, *others = found.values()
    assert len(first) >= 6
    assert others
    assert all(other == first for other in others)
