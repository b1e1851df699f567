"""A step whose work is shared, in processes of this machine."""

from __future__ import annotations

from pathlib import Path

from tasks.operations.shared_step import share
from tasks.training.tune import outcomes
from tests.tasks.training.test_ranker_trials import tunable


def test_processes_do_the_work_together(tmp_path: Path) -> None:
    shared, alone = tunable(tmp_path / "shared"), tunable(tmp_path / "alone")
    share(shared, "tune", 2)
    journal = sorted(path.name for path in shared.dir.rglob("journals/**/*.npz"))
    assert outcomes(shared) == outcomes(alone)
    assert journal == sorted(path.name for path in shared.dir.rglob("journals/**/*.npz"))
    assert len(journal) >= 4
