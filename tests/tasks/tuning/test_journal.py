"""The journal: whole files, claims, and damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tasks.tuning.journal import Journal, Measured, TakenError, Training

TRAINING = Training(3, {"num_leaves": 7})


def test_what_was_written_is_read_with_lists_without_a_value(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.read(TRAINING) is None
    journal.write(TRAINING, Measured(np.array([0.5, np.nan, 1.0]), 2.5))
    found = journal.read(TRAINING)
    assert found is not None
    np.testing.assert_array_equal(found.values, [0.5, np.nan, 1.0])
    assert found.seconds == 2.5


@pytest.mark.parametrize("other", [Training(4, {"num_leaves": 7}), Training(3, {"num_leaves": 8}), Training(3, {}, 1)])
def test_another_training_has_another_file(tmp_path: Path, other: Training) -> None:
    journal = Journal(tmp_path)
    journal.write(TRAINING, Measured(np.array([0.5]), 1.0))
    assert journal.read(other) is None


def test_a_damaged_file_is_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(TRAINING, Measured(np.linspace(0, 1, 100), 1.0))
    (path,) = tmp_path.glob("*.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert journal.read(TRAINING) is None
    path.write_bytes(b"")
    assert journal.read(TRAINING) is None


def test_a_training_has_one_worker_at_a_time(tmp_path: Path) -> None:
    first, second = Journal(tmp_path), Journal(tmp_path)
    with first.claim(TRAINING):
        with pytest.raises(TakenError), second.claim(TRAINING):
            pass
        with second.claim(Training(4, {})):
            pass
    with second.claim(TRAINING):
        pass
