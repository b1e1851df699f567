"""The same bytes on every processor: a day's models, sample, trees and version, by other kernels of every library.

Which kernel a library takes depends on the processor; environment variables make it take those of older ones. So each
process here is another machine, as far as the arithmetic goes. `python tests/test_processors.py FILE HOME` is one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, Tiny, in_process, pipeline_file

PROJECT = Path(__file__).parents[1]
STEPS = ("retrieve", "sample", "train", "evaluate", "gate", "publish")
FEATURES = [*BOUGHT["features"], "item_item_score", "als_rank", "neighbors_score", "rp3beta_score", "markov_score"]
RETRIEVAL = [
    {"type": "als", "factors": 24, "half_life": "9d", "refit": "10d", "k": 10},
    {"type": "item_item", "regularization": 5, "half_life": "9d", "refit": "10d", "k": 10},
    {"type": "neighbors", "similarity": "bm25", "half_life": "9d", "refit": "10d", "k": 10},
    {"type": "rp3beta", "alpha": 0.7, "half_life": "9d", "refit": "10d", "k": 10},
    {"type": "markov", "refit": "10d", "k": 10},
    {"type": "clusters", "clusters": 3, "factors": 4, "refit": "10d", "k": 10},
    {"type": "topics", "topics": 3, "refit": "10d", "k": 10},
    {"type": "popularity", "k": 10},
    {"type": "history", "k": 10},
    {"type": "blend", "of": [{"retrieval": "als"}, {"retrieval": "item_item"}], "fit": {"held_out": "10d"}, "k": 10},
]
KERNELS = {"Nehalem": "SSE42", "Sandybridge": "AVX", "Haswell": "AVX2", "SkylakeX": "AVX512_SKX"}
"""OpenBLAS's kernels, oldest first, and what a processor must have to run each."""


def kernels() -> list[str]:
    """The three newest kernels that run here."""
    from numpy._core._multiarray_umath import __cpu_features__  # type: ignore[import-not-found,unused-ignore]

    return [kernel for kernel, feature in KERNELS.items() if __cpu_features__.get(feature)][-3:]


def processors() -> dict[str, dict[str, str]]:
    """What makes the libraries believe in another processor, by kernel of OpenBLAS; the oldest has the least."""
    oldest, *others = kernels()
    dispatched = np.show_config(mode="dicts")["SIMD Extensions"]["found"]  # type: ignore[call-overload,unused-ignore]
    least = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(dispatched),
        "NUMBA_CPU_NAME": "generic",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
    }
    return {kernel: {"OPENBLAS_CORETYPE": kernel} for kernel in others} | {
        oldest: {"OPENBLAS_CORETYPE": oldest, **least}
    }


def made_on(processor: dict[str, str], bought: Tiny, folder: Path) -> dict[str, Any]:
    """Run the steps behind the tables on one processor."""
    file = pipeline_file(folder, BOUGHT, retrieval=RETRIEVAL, features=FEATURES)
    home = folder / "home"
    for part in ("landing", "warehouse"):
        shutil.copytree(bought.home / part, home / part)
    command = [sys.executable, __file__, str(file), str(home)]
    environment = {**os.environ, **processor, "PYTHONPATH": str(PROJECT), "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    made: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return made


@in_process
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="knows the kernels of x86-64 alone")
@pytest.mark.slow
def test_every_processor_makes_the_same_bytes(bought: Tiny, tmp_path: Path) -> None:
    made = {name: made_on(added, bought, tmp_path / name) for name, added in processors().items()}

    assert {name: found["kernels"] for name, found in made.items()} == {name: [name] for name in made}
    assert len({found["implicit"] for found in made.values()}) > 1  # so these are different processors
    first, *others = (found["files"] for found in made.values())
    models = {f"{part['type']}.npz" for part in RETRIEVAL if part["type"] != "blend"}
    kept = models | {"blend.json", "candidates.parquet", "trees.txt", "descriptor.json"}
    assert kept <= {Path(name).name for name in first}
    for other in others:
        assert {name for name in first.keys() | other.keys() if first.get(name) != other.get(name)} == set()


def main(file: Path, home: Path) -> None:
    """Run the steps, and print the digest of every file that has no clock in it."""
    from tasks.examples.retrieval_models import _fit_by_implicit
    from tasks.examples.retrievers import blas_kernels
    from tasks.runs.steps import BY_NAME, run_step
    from tasks.spec.retrieval import AlsRetrieval

    tiny = Tiny(file, BOUGHT_DAY, home)
    run = tiny.prepared()
    for name in STEPS:
        run_step(run, BY_NAME[name])
    by_library = AlsRetrieval(type="als", factors=24, solver="implicit", k=1)
    matrix = sparse()
    made = {
        "kernels": blas_kernels([by_library]),
        "implicit": hashlib.sha256(_fit_by_implicit(matrix, by_library).tobytes()).hexdigest(),
        "files": digests(home),
    }
    sys.stdout.write(f"{json.dumps(made)}\n")


def sparse() -> Any:
    """Confidences to show that `implicit` differs between these processors."""
    from scipy.sparse import csr_matrix

    values = np.random.default_rng(0).random((80, 60), dtype=np.float32)
    return csr_matrix(np.where(values < 0.2, values, 0))


def digests(home: Path) -> dict[str, str]:
    """The sha256 of the files of models, samples, trees and versions."""
    kept = [path for path in sorted(home.rglob("*")) if path.is_file() and path.suffix in {".npz", ".parquet", ".txt"}]
    kept += sorted(home.rglob("blend.json"))
    kept += sorted(home.glob("registry/*/versions/*/descriptor.json"))
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
