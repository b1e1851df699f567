"""One flipped bit, wherever it lies: it is noticed by whoever reads it, or what it was in is made again."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.checks.landed import check_landed
from tasks.checks.verdicts import Check
from tasks.errors import LandingError, MatineeError
from tasks.evaluation.evaluate import evaluate_step
from tasks.examples import candidates
from tasks.examples.candidates import candidate_files, made_folders, retrieve_step
from tasks.examples.sample import sample_step
from tasks.features.build import build_step
from tasks.operations.verification.walk import verify
from tasks.publishing.gates import gate_step
from tasks.publishing.publish import copy_artifacts, publish_step
from tasks.reports.run_report import report_step
from tasks.runs.run import Run
from tasks.store.damage import damage_of
from tasks.store.database import connect
from tasks.store.records import read_list
from tasks.store.sql import identifier
from tasks.training.train import train_step
from tests.tiny_pipelines import Tiny, in_process

pytestmark = in_process


@pytest.fixture
def run(bought: Tiny, tmp_path: Path) -> Run:
    """A finished run in a copy of its state folder."""
    return bought.copied(tmp_path / "home").prepared()


def flip(path: Path, seed: int) -> bytes:
    """Flip one bit somewhere in a file, and return what it was."""
    before = path.read_bytes()
    content, draw = bytearray(before), random.Random(seed)
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return before


@pytest.mark.parametrize("seed", range(3))
def test_a_landed_partition_that_is_loaded(seed: int, run: Run) -> None:
    """Parquet has no checksum that DuckDB looks at: some flips are other values without any error."""
    shutil.rmtree(run.home.root / "warehouse")
    partition = random.Random(seed).choice(sorted((run.home.root / "landing").glob("*/*/ds=2011-01-*/*.parquet")))
    flip(partition, seed)
    with pytest.raises(LandingError, match=rf"{partition.name}: found sha256 \w+, expected"):
        build_step(run)


def test_candidates_and_models_of_cuts(run: Run, tmp_path: Path) -> None:
    made = made_folders(run)
    for seed, cut in enumerate(run.windows.refit):
        before = flip(made[cut] / "candidates.parquet", seed)
        with pytest.raises(MatineeError, match=r"candidates\.parquet: found sha256"):
            candidate_files(run)
        (made[cut] / "candidates.parquet").write_bytes(before)
    assert candidate_files(run)
    for name in ("als.npz", "history.npz", "popularity.npz", "catalogue.parquet"):
        before = flip(made[run.as_of] / name, 5)
        with pytest.raises(MatineeError, match=rf"{name}: found sha256 .* delete the folder"):
            copy_artifacts(run, tmp_path / "copied")
        (made[run.as_of] / name).write_bytes(before)


def test_a_folder_that_was_removed_as_the_message_says_is_made_again(run: Run) -> None:
    folder = made_folders(run)[run.as_of]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    retrieve_step(run)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_damaged_folders_are_made_again_by_the_next_run_and_it_says_so(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is damaged of a cut, the step makes all of it anew; what is whole is left alone."""
    folders = made_folders(run)
    before = {path: path.read_bytes() for folder in folders.values() for path in sorted(folder.iterdir())}
    cut, first = run.as_of, run.windows.refit[0]
    flip(folders[cut] / "als.npz", 1)
    (folders[first] / "candidates.parquet").write_bytes(b"PAR1")
    compared: list[Path] = []
    monkeypatch.setattr(candidates, "damage_of", lambda folder: (compared.append(folder), damage_of(folder))[1])
    assert retrieve_step(run).made == 2
    assert sorted(compared) == sorted(folders.values()), "each once"
    damaged = "damaged since it was made"
    assert f"{folders[cut]}: {damaged}: als.npz was changed; it is made again" in caplog.text
    assert f"{folders[first]}: {damaged}: candidates.parquet was changed; it is made again" in caplog.text
    assert {path: path.read_bytes() for path in before} == before
    (folders[cut] / "digests.json").unlink()
    assert retrieve_step(run).made == 1
    assert {path: path.read_bytes() for path in before} == before
    assert retrieve_step(run).made == 0


READERS: dict[str, Callable[[Run], object]] = {
    "sample/train.parquet": lambda run: train_step(run, "*"),
    "sample/validation.parquet": evaluate_step,
    "sample/test.parquet": evaluate_step,
    "sample/truth.parquet": evaluate_step,
    "sample/serving/user.parquet": publish_step,
    "train/everybody-else/judged/trees.txt": evaluate_step,
    "train/everybody-else/judged/function.json": evaluate_step,
    "train/everybody-else/published/trees.txt": publish_step,
    "evaluate/groups.parquet": gate_step,
    "evaluate/leakage.json": gate_step,
    "evaluate/records.json": publish_step,
    "gate/result.json": publish_step,
    "retrieve/result.json": sample_step,
}


@pytest.mark.parametrize("name", READERS)
def test_what_a_step_has_left_for_another(name: str, run: Run) -> None:
    path, read = run.dir / name, READERS[name]
    for seed in range(3):
        before = flip(path, seed)
        with pytest.raises(MatineeError, match=rf"{path}: found sha256 \w+, expected \w+"):
            read(run)
        path.write_bytes(before)


def test_a_page_leaves_out_what_is_damaged_and_says_so(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("evaluate/records.json", "check_landed/checks.json", "train/everybody-else/result.json"):
        flip(run.dir / name, 1)
    report_step(run)
    for name in ("evaluate/records.json", "check_landed/checks.json", "train/everybody-else/result.json"):
        assert f"left out of the page: {run.dir / name}: found sha256" in caplog.text


@pytest.mark.parametrize("seed", range(2))
def test_kept_profiles_are_measured_again(seed: int, run: Run) -> None:
    """A flip in a number of a JSON file is still JSON, of another number."""
    check_landed(run)  # its records name files of this folder
    before = read_list(run.step_dir("check_landed") / "checks.json", Check)
    profiles = sorted((run.home.root / "profiles").glob("*/*/*.json"))
    assert len(profiles) > 10
    for number, path in enumerate(profiles):
        flip(path, seed * 1000 + number)
    check_landed(run)
    assert read_list(run.step_dir("check_landed") / "checks.json", Check) == before


def contents_of(warehouse: Path) -> dict[str, object]:
    """A hash of the rows of every table."""
    with connect(warehouse, read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() where schema_name = 'main'").fetchall()
        query = "select bit_xor(hash(one)) from {} as one"
        return {name: connection.execute(query.format(identifier(name))).fetchone() for (name,) in sorted(names)}


def test_the_tables_notice_a_flipped_block(run: Run) -> None:
    """DuckDB keeps a checksum of each block, and compares it when the block is read."""
    warehouse = run.home.warehouse("bought")
    before, rows, noticed = warehouse.read_bytes(), contents_of(warehouse), 0
    assert len(rows) > 10
    for seed in range(12):
        flip(warehouse, seed)
        if verify(run.home, ["bought"]).whole:
            # Free blocks, and the older of two headers, are read by nobody.
            assert contents_of(warehouse) == rows
        else:
            noticed += 1
        warehouse.write_bytes(before)
    assert noticed
