"""What can be made again: damaged retrieval folders, tables and quarantined rows are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.sealed import sealed
from tasks.operations.verification.walk import verify
from tasks.store.files import Home, sha256_file, write_json
from tests.tasks.damaging import Damages, assert_named, flip, texts
from tests.tiny_pipelines import in_process

pytestmark = in_process


def cut(home: Home) -> Path:
    """The retrieval folder of the last cut."""
    return sorted(home.retrieval("bought").glob("cut=*/*"))[-1]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: Damages = {
    "a model is cut": (
        lambda h: cut_short(cut(h) / "als.npz"),
        r"^retrieval: .*/cut=2011-03-05/\w+ als\.npz was changed \| delete it and run the step `retrieve` again",
    ),
    "a bit of a catalog": (
        lambda h: flip(cut(h) / "catalogue.parquet"),
        r"^retrieval: .* catalogue\.parquet was changed",
    ),
    "a model is gone": (lambda h: (cut(h) / "history.npz").unlink(), r"^retrieval: .* history\.npz is missing"),
    "a note is other JSON": (
        lambda h: write_json(sorted(h.retrieval("bought").glob("cut=2011-02-13/*/made.json"))[0], {"rows": 1}),
        r"^retrieval: .* made\.json was changed",
    ),
    "the digests are gone": (lambda h: (cut(h) / "digests.json").unlink(), r"^retrieval: .* digests\.json is missing"),
    "the digests are a list": (
        lambda h: (cut(h) / "digests.json").write_text("[]"),
        r"^retrieval: .* digests\.json was changed",
    ),
    "the tables are cut": (
        lambda h: h.warehouse("bought").write_bytes(h.warehouse("bought").read_bytes()[:20_000]),
        r"^warehouse: .*bought\.duckdb .* \| delete it and run the step `build` again: it is a cache of the landing",
    ),
    "the tables are something else": (
        lambda h: h.warehouse("bought").write_bytes(b"garbage" * 3000),
        r"^warehouse: .*bought\.duckdb cannot be opened \(.* \| delete it and run the step `build` again",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_with_what_to_do(name: str, home: Home) -> None:
    damage, said = DAMAGES[name]
    damage(home)
    found = verify(home, ["bought"])
    assert_named(found.faults, said)
    assert len(found.faults) == 1, texts(found.faults)


def test_what_is_being_written_is_no_fault(home: Home) -> None:
    (cut(home).parent / ".0a1b-new").mkdir()
    assert verify(home).whole


def test_quarantined_rows_are_there(home: Home) -> None:
    folder = home.quarantine("bought") / "lines" / "ds=2011-02-01"
    folder.mkdir(parents=True)
    rows = folder / "a.parquet"
    rows.write_bytes(b"rows")
    entry = {
        "file": "a.parquet", "sha256": sha256_file(rows), "made_of": {}, "code": "c", "offered": 3,
        "rules": {"missing_id": 1}, "run": "x/1",
    }  # fmt: skip
    write_json(folder / "manifest.json", sealed({"entries": [entry]}))
    assert verify(home).whole
    flip(rows)
    assert_named(verify(home).faults, r"^quarantine: .*a\.parquet: found sha256 \w+, expected .* \| delete the")
    rows.unlink()
    assert_named(verify(home).faults, r"^quarantine: .*a\.parquet: missing, by manifest\.json .* \| delete the")
    for wrong in ({"file": "../../../landing/x.parquet"}, {"rules": {"missing_id": -1}}):
        write_json(folder / "manifest.json", sealed({"entries": [entry | wrong]}))
        assert_named(verify(home).faults, r"^quarantine: .*manifest\.json entries\.0\.(file|rules\.missing_id): found ")


RUN_DAMAGES: Damages = {
    "a bit of a sample": (
        lambda h: flip(next((h.root / "runs").glob("*/*/*/sample/train.parquet"))),
        r"^runs: .*/sample train\.parquet was changed \| delete it and run the step again",
    ),
    "a model is gone": (
        lambda h: next((h.root / "runs").glob("*/*/*/train/*/published/trees.txt")).unlink(),
        r"^runs: .*/train/\S+ published/trees\.txt is missing \| delete it and run the step again",
    ),
}


@pytest.mark.parametrize("damage", RUN_DAMAGES)
def test_what_steps_have_left_is_compared(damage: str, home: Home) -> None:
    assert verify(home).counted["steps"] > 10
    harm, said = RUN_DAMAGES[damage]
    harm(home)
    assert_named(verify(home).faults, said)
