"""The registry: timeline, versions and aliases; none of their damages hides another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tasks.operations.retention import REMOVED
from tasks.operations.verification.walk import verify
from tasks.store.files import Home
from tests.tasks.damaging import Damages, alias, assert_named, flip, rewrite, texts, version
from tests.tiny_pipelines import in_process

pytestmark = in_process


def timeline(home: Home) -> Path:
    return home.registry("bought") / "timeline.jsonl"


DAMAGES: Damages = {
    "a bit of an artifact": (
        lambda h: flip(sorted(version(h).rglob("*.npz"))[0]),
        r"^registry: .*/versions/\S+ .*npz: \d+ bytes with sha256 .* altered after publishing \| "
        r"restore it from a backup",
    ),
    "a descriptor is torn": (
        lambda h: (version(h) / "descriptor.json").write_text("{"),
        r"/versions/\S+ descriptor\.json: not JSON \(.*\) \| restore it from a backup, or remove "
        r"the folder and run the",
    ),
    "a descriptor is of another format": (
        lambda h: rewrite(version(h) / "descriptor.json", format="matinee/0"),
        r"descriptor\.json: format 'matinee/0'; this engine reads 'matinee/1'",
    ),
    "the timeline is gone": (
        lambda h: timeline(h).unlink(),
        r"timeline\.jsonl missing, though .*champion\.json names what must .*\| restore timeline\.jsonl and",
    ),
    "a line of the timeline has another shape": (
        lambda h: timeline(h).write_text('{"version": 3}\n'),
        r"timeline\.jsonl:1 a torn line, expected an event of the timeline \| restore timeline\.jsonl and",
    ),
    "the last line of the timeline is lost": (
        lambda h: timeline(h).write_text(""),
        r"timeline\.jsonl without a line, though .*champion\.json names what must .*\| restore timeline\.jsonl and",
    ),
    "a line of the timeline twice": (
        lambda h: timeline(h).write_text(timeline(h).read_text() * 2),
        r"timeline\.jsonl:2 found the line that was written as line 1, expected line 2: lines are lost or not in their "
        r"places \| restore timeline\.jsonl and",
    ),
    "the timeline's head is of another line": (
        lambda h: rewrite(timeline(h).with_name("timeline_head.json"), last="0" * 64),
        r"timeline\.jsonl:1 found the checksum .*, expected 000000000000… as in timeline_head\.json: another line was",
    ),
    "the timeline's head is damaged": (
        lambda h: timeline(h).with_name("timeline_head.json").write_text("{"),
        r"timeline_head\.json not valid JSON .* \| restore timeline\.jsonl and timeline_head\.json from a backup",
    ),
    "a version is gone": (
        lambda h: shutil.rmtree(version(h)),
        r"the timeline names this version, but its folder is not there \| restore it from a backup, "
        r"or run the day again",
    ),
    "a version under another name": (
        lambda h: version(h).rename(version(h).with_name("2011-03-05.00000000")),
        r"found the version 2011-03-05\.\w+ in this folder",
    ),
    "an alias to nothing": (
        lambda h: rewrite(alias(h), version="2011-03-05.00000000"),
        r"champion\.json it points at 2011-03-05\.00000000, whose folder is not there \| publish a day again",
    ),
    "an alias with a later day": (
        lambda h: rewrite(alias(h), as_of="2011-03-09"),
        r"champion\.json found the day 2011-03-09 .* expected 2011-03-05",
    ),
    "an alias of another shape": (lambda h: alias(h).write_text("[]"), r"champion\.json the whole file: found a list"),
    "an empty alias": (
        lambda h: alias(h).write_text(""),
        r"champion\.json not valid JSON \(the file is empty\) \| publish the last day again once "
        r"this file is removed, or restore it from a backup; see also `matinee verify`$",
    ),
    "an alias that leads out": (
        lambda h: rewrite(alias(h), version="../../../etc"),
        r"champion\.json version: found '\.\./\.\./\.\./etc': expected a plain name.* \| publish the last day again",
    ),
    "an alias is gone": (
        lambda h: alias(h).unlink(),
        r"champion\.json no such file, though the timeline says that 2011-03-05\.\w+ went live "
        r"under this alias \| publish",
    ),
    "the aliases are gone": (
        lambda h: shutil.rmtree(alias(h).parent),
        r"aliases/champion\.json no such file, though the timeline says that 2011-03-05\.\w+ went live",
    ),
    "the list of what was removed is torn": (
        lambda h: (h.registry("bought") / REMOVED).write_text('{"version": "../x"}\n'),
        r"removed\.jsonl:?1?:? ?.*a torn line.* \| restore it from a backup",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_with_what_to_do(name: str, home: Home) -> None:
    damage, said = DAMAGES[name]
    damage(home)
    assert_named(verify(home, ["bought"]).faults, said)


def test_no_fault_hides_another(home: Home) -> None:
    """One of each: a line, a version, two aliases."""
    event = timeline(home).read_text()
    timeline(home).write_text('{"version": 3}\n' + event + "[]\n")
    flip(sorted(version(home).rglob("trees.txt"))[0])
    shutil.copytree(version(home), version(home).with_name("2011-03-04.00000000"))
    (alias(home).parent / "canary.json").write_text('{"version": "../x", "as_of": "2011-03-05", "content": ""}')
    rewrite(alias(home), as_of="2011-03-09")
    found = texts(verify(home, ["bought"]).faults)
    for said in (
        "timeline.jsonl:1",
        "timeline.jsonl:3",
        "trees.txt",
        "2011-03-04.00000000",
        "canary.json",
        "champion.json",
    ):
        assert any(said in text for text in found), (said, found)


def test_versions_that_were_removed_on_purpose_are_no_fault(home: Home) -> None:
    name = version(home).name
    shutil.rmtree(version(home))
    alias(home).unlink()
    (home.registry("bought") / REMOVED).write_text(
        json.dumps({"version": name, "as_of": "2011-03-05"}) + "\n" + '{"ver'
    )
    assert not [text for text in texts(verify(home, ["bought"]).faults) if "its folder is not there" in text]
