"""`matinee verify`: what is whole stays as it is; faults are in words and in JSON; nothing to look at is no success."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.errors import MatineeError, SpecError
from tasks.operations.verification.walk import verify
from tasks.store.files import Home
from tests.tasks.damaging import alias, flip, names_below, partition, version
from tests.tiny_pipelines import Tiny, in_process

pytestmark = in_process


def test_an_undamaged_folder_is_whole_and_stays_as_it_is(home: Home, bought: Tiny) -> None:
    before = names_below(home.root)
    for names in ([], ["bought"], [str(bought.file)]):
        found = verify(home, names)
        assert found.faults == ()
        assert (found.counted["versions"], found.counted["warehouses"], found.counted["cuts"]) == (1, 1, 4)
        assert found.counted["partitions"] > 50
    assert names_below(home.root) - before <= {"registry/bought/.lock"}


def test_faults_of_all_parts_are_listed_by_part(home: Home) -> None:
    for path in (
        partition(home),
        sorted(version(home).rglob("*.npz"))[0],
        sorted(home.retrieval("bought").glob("cut=*/*/als.npz"))[0],
    ):
        flip(path)
    alias(home).unlink()
    home.warehouse("bought").write_bytes(b"")
    parts = [fault.part for fault in verify(home).faults]
    assert parts == sorted(parts)
    assert set(parts) == {"landing", "registry", "retrieval", "warehouse"}


def test_a_pipeline_without_a_file_is_looked_at_when_it_has_left_something(home: Home, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATINEE_PIPELINES", str(tmp_path / "none"))
        assert verify(home, ["bought"]).counted["versions"] == 1
        shutil.rmtree(home.root / "registry")
        shutil.rmtree(home.root / "runs")
        assert verify(home).counted["warehouses"] == 1


@pytest.mark.parametrize("name", ["bougt", "Bought", "../bought", "", "bought/../bought"])
def test_a_name_that_nothing_has_is_refused(name: str, home: Home) -> None:
    with pytest.raises(
        SpecError, match=r"^no pipeline .*, neither in .* nor in .*(did you mean|expected one of) '?bought"
    ):
        verify(home, [name])


def test_nothing_to_look_at_is_no_success(home: Home, tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match="nothing to verify: found neither landing, registry"):
        verify(Home(tmp_path / "shop"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MatineeError, match="bought has left nothing here; run a day first, or correct MATINEE_HOME"):
        verify(Home(tmp_path / "empty"), ["bought"])


def test_the_command_says_it_in_words_and_in_json(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home.root))
    monkeypatch.setenv("COLUMNS", "300")
    whole = CliRunner().invoke(app, ["verify"])
    assert (whole.exit_code, whole.output.splitlines()[-1].partition(": ")[2]) == (0, "all whole")
    flip(partition(home))
    damaged = CliRunner().invoke(app, ["verify"])
    assert (damaged.exit_code, damaged.output.splitlines()[-1].partition(": ")[2]) == (1, "1 fault")
    assert "next: delete it and run `matinee land` again" in damaged.output
    (fault,) = json.loads(CliRunner().invoke(app, ["verify", "--json"]).output)["faults"]
    assert fault["place"] == str(partition(home))
