"""The landing: partitions and manifests, releases, and days that are gone although somebody knows them."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.sealed import sealed
from tasks.operations.verification.landing import missing_days
from tasks.operations.verification.walk import verify
from tasks.sources.released_rows import ReleaseRecord, add_release
from tasks.store.files import Home
from tests.tasks.damaging import Damages, assert_named, flip, partition, rewrite, texts
from tests.tiny_pipelines import in_process

pytestmark = in_process


def manifest(home: Home) -> Path:
    return partition(home).parent / "manifest.json"


def rewrite_landing(home: Home, **values: object) -> None:
    content: dict[str, Any] = json.loads(manifest(home).read_text())
    content["landings"][-1] |= values
    manifest(home).write_text(json.dumps(sealed(content)))


def replace_by_link(home: Home) -> None:
    path = partition(home)
    path.rename(home.root / "elsewhere.parquet")
    path.symlink_to(home.root / "elsewhere.parquet")


DAMAGES: Damages = {
    "a bit of an old partition": (
        lambda h: flip(partition(h)),
        r"^landing: .*parquet found sha256 \w+, expected \w+ \|",
    ),
    "a partition is gone": (lambda h: partition(h).unlink(), r"^landing: .*parquet no such file in this folder \|"),
    "a partition is cut": (
        lambda h: partition(h).write_bytes(partition(h).read_bytes()[:-7]),
        r"^landing: .*parquet found \d+ bytes, expected \d+ \| delete it and run `matinee land` again",
    ),
    "a partition is a link": (replace_by_link, r"^landing: .*parquet found a link, expected the file itself"),
    "a manifest is torn": (
        lambda h: manifest(h).write_text("{"),
        r"manifest\.json not valid JSON \(line 1, .*\) \| delete this file and run `matinee land` again: it is made",
    ),
    "a manifest is empty": (
        lambda h: manifest(h).write_text(""),
        r"manifest\.json not valid JSON \(the file is empty\) \| delete this file and run",
    ),
    "a manifest is of another day": (
        lambda h: rewrite(manifest(h), ds="2011-01-11"),
        r"manifest\.json found the manifest of 'lines' of 2011-01-11, expected that of its own folder \| delete this",
    ),
    "a manifest leads out": (
        lambda h: rewrite_landing(h, file="../../x.parquet"),
        r"manifest\.json landings\.0\.file: found '\.\./\.\./x\.parquet': expected a plain name.* \| delete this file",
    ),
    "a manifest counts below zero": (
        lambda h: rewrite_landing(h, rows=-5),
        r"landings\.0\.rows: found -5: .* \| delete",
    ),
    "a manifest counts other rows": (
        lambda h: rewrite_landing(h, rows=99),
        r"manifest\.json found 99 rows in it, expected \d+, as in \w+\.parquet \| delete this file and run",
    ),
    "a manifest is of no time": (
        lambda h: rewrite_landing(h, landed_at="yesterday"),
        r"landings\.0\.landed_at: found 'yesterday': expected an instant with its offset",
    ),
    "somebody's folder": (
        lambda h: (partition(h).parents[1] / "ds=last-week").mkdir(),
        r"ds=last-week found a name without a day, expected ds=YYYY-MM-DD \| move it away: matinee makes",
    ),
    "a day is gone": (
        lambda h: shutil.rmtree(partition(h).parent),
        r"^landing: .*/lines 2011-01-10 not landed, though the version 2011-03-05\.\w+ was made "
        r"from it \| run `matinee",
    ),
    "a manifest is gone": (
        lambda h: manifest(h).unlink(),
        r"^landing: .*/lines 2011-01-10 not landed, though the version 2011-03-05\.\w+ was made from it",
    ),
    "a table is gone": (
        lambda h: shutil.rmtree(partition(h).parents[1]),
        r"^landing: .*/lines 2011-01-04 … 2011-03-05 \(61 days\) not landed",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_once_with_what_to_do(name: str, home: Home) -> None:
    damage, said = DAMAGES[name]
    damage(home)
    found = verify(home, ["bought"])
    assert_named(found.faults, said)
    assert len(found.faults) == 1, texts(found.faults)


def test_the_landing_alone_says_nothing_of_days_that_nobody_knows(home: Home) -> None:
    """Runs of days far apart leave gaps that are none."""
    for name in ("registry", "warehouse", "runs"):
        shutil.rmtree(home.root / name)
    shutil.rmtree(partition(home).parent)
    assert verify(home).whole


def test_the_tables_know_their_days_without_a_version(home: Home) -> None:
    shutil.rmtree(home.root / "registry")
    shutil.rmtree(partition(home, "2011-02-01").parent)
    assert_named(verify(home).faults, r"/lines 2011-02-01 not landed, though a table of bought was made from it")


def test_days_are_summed_up_by_who_knows_them(home: Home) -> None:
    known = {
        ("shop", "lines"): {date(2011, 7, day): "the version x" if day < 4 else "a table of y" for day in range(1, 7)}
    }
    assert [fault.problem for fault in missing_days(home, known)] == [
        "2011-07-04 … 2011-07-06 (3 days) not landed, though a table of y was made from it",
        "2011-07-01 … 2011-07-03 (3 days) not landed, though the version x was made from it",
    ]


def test_releases_are_a_part_of_the_landing(home: Home) -> None:
    record = ReleaseRecord(
        made_at="2026-03-01T00:00:00+00:00", who="ann", why="a typo", pipeline="bought", kind="corrected rows",
        rows=(), days=(), touches={"lines": {date(2011, 1, 10): 1}}, digest="0" * 64,
    )  # fmt: skip
    release = add_release(home, "online_retail", record, {"lines": pa.table({"id": ["a", "b"]})})
    assert verify(home).whole
    path = release.folder / "lines.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-6])
    assert_named(
        verify(home).faults, r"^landing: .*/lines\.parquet .* \| restore it from a backup: a release is a part"
    )
    path.unlink()
    assert_named(verify(home).faults, r"^landing: .*/lines\.parquet .*no such file.* \| restore it from a backup")
    path.write_bytes(whole)
    (release.folder / "release.json").write_text("[]")
    assert_named(verify(home).faults, r"release\.json found sha256 \w+, expected \w+ .* \| restore it from a backup")
