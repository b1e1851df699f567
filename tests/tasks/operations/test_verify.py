"""Whether what lies on disk is whole: each damage is named with its place and a remedy, and nothing is written."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tasks.cli.main import app
from tasks.operations.verification.walk import verify
from tasks.store.files import Home
from tests.tiny_pipelines import Tiny, in_process

pytestmark = in_process


def names_below(folder: Path) -> set[str]:
    """Paths of all files and folders below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def home(bought: Tiny, tmp_path: Path) -> Home:
    """A copy of a state folder whose day has been run and published."""
    return Home(bought.copied(tmp_path / "home").home)


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def version(home: Home) -> Path:
    (folder,) = (home.registry("bought") / "versions").iterdir()
    return folder


def rewrite(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_an_undamaged_folder_is_whole_and_stays_as_it_is(home: Home) -> None:
    before = names_below(home.root)
    found = verify(home)
    assert found.faults == ()
    assert found.counted["versions"] == found.counted["warehouses"] == 1
    assert found.counted["partitions"] > 50
    assert names_below(home.root) - before <= {"registry/bought/.lock"}


def old_partition(home: Home) -> Path:
    return sorted((home.root / "landing").glob("*/lines/ds=2011-01-10/*.parquet"))[0]


DAMAGES: dict[str, tuple[Callable[[Home], object], str]] = {
    "a bit of an old partition": (lambda h: flip(old_partition(h)), r"landing: .* found sha256 \w+, expected"),
    "a partition is gone": (lambda h: old_partition(h).unlink(), r"landing: .* no such file in this folder"),
    "a partition is cut": (
        lambda h: old_partition(h).write_bytes(old_partition(h).read_bytes()[:-7]),
        r"landing: .* found \d+ bytes, expected \d+",
    ),
    "a manifest is torn": (
        lambda h: (old_partition(h).parent / "manifest.json").write_text("{"),
        r"landing: .*manifest\.json not a manifest|landing: .*not a manifest",
    ),
    "a manifest of another day": (
        lambda h: rewrite(old_partition(h).parent / "manifest.json", ds="2011-01-11"),
        r"landing: .* found the manifest of lines of 2011-01-11, expected that of its own folder",
    ),
    "a bit of an artifact": (lambda h: flip(sorted(version(h).rglob("*.npz"))[0]), r"registry: .*npz"),
    "the timeline is gone": (
        lambda h: (h.registry("bought") / "timeline.jsonl").unlink(),
        r"registry: .*timeline\.jsonl: missing, though .*champion\.json points at a version",
    ),
    "a line of the timeline has another shape": (
        lambda h: (h.registry("bought") / "timeline.jsonl").write_text('{"version": 3}\n'),
        r"registry: .*timeline\.jsonl:1",
    ),
    "a version is gone": (
        lambda h: shutil.rmtree(version(h)),
        r"registry: .* the timeline names this version, but its folder is not there",
    ),
    "a version under another name": (
        lambda h: version(h).rename(version(h).with_name("2011-03-05.00000000")),
        r"registry: .* found the version 2011-03-05\.\w+ in this folder",
    ),
    "an alias to nothing": (
        lambda h: rewrite(h.registry("bought") / "aliases" / "champion.json", version="2011-03-05.00000000"),
        r"registry: .* it points at 2011-03-05\.00000000, whose folder is not there",
    ),
    "an alias with a later day": (
        lambda h: rewrite(h.registry("bought") / "aliases" / "champion.json", as_of="2011-03-09"),
        r"registry: .* found the day 2011-03-09 .* expected 2011-03-05",
    ),
    "an alias of another shape": (
        lambda h: (h.registry("bought") / "aliases" / "champion.json").write_text("[]"),
        r"registry: .*champion\.json",
    ),
    "the tables are cut": (
        lambda h: h.warehouse("bought").write_bytes(h.warehouse("bought").read_bytes()[:20_000]),
        r"warehouse: .*bought\.duckdb",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_with_what_to_do(name: str, home: Home) -> None:
    damage, said = DAMAGES[name]
    damage(home)
    found = verify(home, ["bought"])
    texts = [f"{fault.part}: {fault.place} {fault.problem}" for fault in found.faults]
    assert any(re.search(said, text) for text in texts), texts
    assert all(fault.next for fault in found.faults)


def test_the_command_says_it_in_words_and_in_json(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(home.root))
    monkeypatch.setenv("COLUMNS", "300")
    whole = CliRunner().invoke(app, ["verify"])
    assert (whole.exit_code, whole.output.splitlines()[-1].partition(": ")[2]) == (0, "all whole")
    flip(old_partition(home))
    damaged = CliRunner().invoke(app, ["verify"])
    assert (damaged.exit_code, damaged.output.splitlines()[-1].partition(": ")[2]) == (1, "1 fault(s)")
    assert "run `matinee land` again" in damaged.output
    (fault,) = json.loads(CliRunner().invoke(app, ["verify", "--json"]).output)["faults"]
    assert fault["place"] == str(old_partition(home))
