"""Whoever reads a timeline notices a line that is lost, moved, changed or put in."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from itertools import combinations, permutations
from pathlib import Path

import pytest

from engine.sealed import sealed, unsealed
from tasks.errors import MatineeError, RegistryError
from tasks.store.files import Home
from tasks.store.registry import alias, move_alias, withdraw
from tasks.store.timeline import LINK, TimelineHead, content_of, timeline, verdict_on
from tests.tasks.handmade import day, published

NEXT = (
    r"restore timeline\.jsonl and timeline_head\.json from a backup, or remove both and aliases/ beside them and run "
    r"the days again, oldest first; see also `matinee verify`$"
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def move(home: Home, version: str, as_of: date) -> bool:
    return move_alias(home, "shop", published(version, as_of, run="r1"))


def lines_of(home: Home) -> list[bytes]:
    """The lines of a timeline of four days, with their ends."""
    for number in (10, 11, 12, 9):  # the last one is of a backfill: the alias says nothing of it
        move(home, f"v{number}", day(f"02-{number:02}"))
    return (home.registry("shop") / "timeline.jsonl").read_bytes().splitlines(keepends=True)


def write(home: Home, lines: list[bytes]) -> None:
    (home.registry("shop") / "timeline.jsonl").write_bytes(b"".join(lines))


def test_a_line_names_its_place_and_the_line_before_it(home: Home) -> None:
    first, second, *_ = map(json.loads, lines_of(home))
    assert (first["line"], first["before"]) == (1, "")
    assert (second["line"], second["before"]) == (2, first["checksum"])


def test_no_choice_or_order_of_lines_but_the_written_one_is_a_timeline(home: Home) -> None:
    lines = lines_of(home)
    events = timeline(home, "shop")
    others = [list(chosen) for size in range(4) for chosen in combinations(lines, size)]
    others += [list(order) for order in permutations(lines) if list(order) != lines]
    others += [[*lines[:place], lines[place], *lines[place:]] for place in range(4)]
    for other in others:
        write(home, other)
        with pytest.raises(RegistryError, match=f"timeline.*; {NEXT}"):
            timeline(home, "shop")
        with pytest.raises(RegistryError, match=f"timeline.*; {NEXT}"):  # nor is anything written behind it
            move(home, "v13", day("02-13"))
    write(home, lines)
    assert timeline(home, "shop") == events


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (
            [1, 2, 3],
            r"timeline\.jsonl:1: found the line that was written as line 2, expected line 1: lines are lost or",
        ),
        (
            [0, 2, 3],
            r"timeline\.jsonl:2: found the line that was written as line 3, expected line 2: lines are lost or",
        ),
        ([0, 1, 2], r"timeline\.jsonl: found 3 lines, expected 4 as in timeline_head\.json: the end is lost"),
        (
            [0, 2, 1, 3],
            r"timeline\.jsonl:2: found the line that was written as line 3, expected line 2: lines are lost",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(home: Home, left: list[int], said: str) -> None:
    lines = lines_of(home)
    write(home, [lines[place] for place in left])
    with pytest.raises(RegistryError, match=said):
        timeline(home, "shop")


def edited(home: Home, line: bytes, **values: object) -> bytes:
    """A line that a hand changed which knows of the checksum."""
    return json.dumps(sealed({**unsealed(json.loads(line)), **values}), sort_keys=True).encode() + b"\n"


def test_a_line_in_the_place_of_another_is_noticed(home: Home) -> None:
    first, *others, last = lines_of(home)
    write(home, [edited(home, first, version="v00"), *others, last])
    with pytest.raises(RegistryError, match=r"jsonl:2: found a line that was written behind the checksum .* expected "):
        timeline(home, "shop")
    write(home, [first, *others, edited(home, last, version="v00")])
    with pytest.raises(RegistryError, match=r"jsonl:4: found the checksum .* as in timeline_head\.json: another line"):
        timeline(home, "shop")


def test_a_head_that_is_gone_or_damaged_is_named(home: Home) -> None:
    lines_of(home)
    head = home.registry("shop") / "timeline_head.json"
    head.write_text("{")
    with pytest.raises(RegistryError, match=rf"timeline_head\.json: not valid JSON .*; {NEXT}"):
        timeline(home, "shop")
    head.unlink()
    with pytest.raises(RegistryError, match=rf"timeline_head\.json: missing, expected one .* of 4 lines .*; {NEXT}"):
        timeline(home, "shop")


def test_what_is_said_to_do_mends_it(home: Home) -> None:
    lines = lines_of(home)
    write(home, lines[1:])
    folder = home.registry("shop")
    for path in (folder / "timeline.jsonl", folder / "timeline_head.json", folder / "aliases" / "champion.json"):
        path.unlink()
    for number in (9, 10, 11, 12):
        move(home, f"v{number}", day(f"02-{number:02}"))
    assert [event.version for event in timeline(home, "shop")] == ["v9", "v10", "v11", "v12"]


def test_a_timeline_from_before_0_1_is_not_migrated(home: Home) -> None:
    lines = lines_of(home)
    old = [{key: value for key, value in json.loads(line).items() if key not in (*LINK, "checksum")} for line in lines]
    for seal in (sealed, dict[str, object]):
        write(home, [json.dumps(seal(line)).encode() + b"\n" for line in old])
        with pytest.raises(
            RegistryError,
            match=r"timeline\.jsonl:1: found a line without `line` and `before`, expected one that names the line "
            r"before it; State from before 0\.1 is not migrated: keep `landing/`, delete the rest of MATINEE_HOME",
        ):
            timeline(home, "shop")


@pytest.mark.parametrize("first", [True, False])
def test_a_writer_that_is_killed_before_the_head_leaves_a_whole_timeline(
    home: Home, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if not first:
        lines_of(home)
    before = len(timeline(home, "shop"))
    with monkeypatch.context() as patched:
        patched.setattr(TimelineHead, "write", killed)
        with pytest.raises(OSError, match="No space"):
            move(home, "v14", day("02-14"))
    assert len(timeline(home, "shop")) == before + 1

    move(home, "v14", day("02-14"))  # the step is tried again: no new line, but the head names the last one
    lines = (home.registry("shop") / "timeline.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == before + 1
    write(home, lines[:-1])
    with pytest.raises(RegistryError, match="timeline"):
        timeline(home, "shop")


@pytest.mark.parametrize(
    "read",
    [
        lambda home: verdict_on(home, "shop", "champion", "v10"),
        lambda home: content_of(home, "shop", "v10"),
        lambda home: withdraw(home, "shop", published("v10", day("02-10"))),
    ],
)
def test_nothing_is_concluded_from_a_timeline_that_lost_a_line(home: Home, read: Callable[[Home], object]) -> None:
    write(home, lines_of(home)[1:])
    with pytest.raises(RegistryError, match=r"timeline\.jsonl:1: found the line that was written as line 2"):
        read(home)


def test_a_torn_line_of_the_timeline_is_named(home: Home) -> None:
    move(home, "v10", day("02-10"))
    path = home.registry("shop") / "timeline.jsonl"
    path.write_text(path.read_text() + '{"version": "v1\n')
    with pytest.raises(RegistryError, match=rf"timeline\.jsonl:2: a torn line, expected an event.*; {NEXT}"):
        timeline(home, "shop")


def test_a_line_that_was_cut_off_by_a_crash_is_dropped_by_the_next_move(home: Home) -> None:
    move(home, "v10", day("02-10"))
    path = home.registry("shop") / "timeline.jsonl"
    path.write_text(path.read_text() + '{"version": "v1')  # no line end: it was never finished

    assert [line.version for line in timeline(home, "shop")] == ["v10"]
    move(home, "v11", day("02-11"))
    assert [line.version for line in timeline(home, "shop")] == ["v10", "v11"]


def test_a_timeline_that_is_gone_is_no_empty_one(home: Home) -> None:
    """Without it no version has a champion to beat, and every gate on the champion passes unopposed."""
    assert timeline(home, "shop") == []
    move_alias(home, "shop", published("2026-03-01.aaaaaaaa", date(2026, 3, 1)))
    (home.registry("shop") / "timeline.jsonl").unlink()
    with pytest.raises(RegistryError, match=r"timeline\.jsonl: missing, though .*champion\.json names what"):
        timeline(home, "shop")


@pytest.mark.parametrize("left", [b"", b"\0" * 100, b'{"ali'])
def test_a_timeline_without_a_line_is_none_of_a_registry_where_nothing_was_published(home: Home, left: bytes) -> None:
    move_alias(home, "shop", published("2026-03-01.aaaaaaaa", date(2026, 3, 1)))
    (home.registry("shop") / "timeline.jsonl").write_bytes(left)
    with pytest.raises(RegistryError, match=r"jsonl: without a line, though .*champion\.json names what must be in it"):
        timeline(home, "shop")


def test_no_flipped_bit_of_the_timeline_or_an_alias_is_another_event(home: Home) -> None:
    for number in (10, 11):
        move(home, f"v{number}", day(f"02-{number}"))
    events, target = timeline(home, "shop"), alias(home, "shop", "champion")
    for name in ("timeline.jsonl", "timeline_head.json", "aliases/champion.json"):
        path = home.registry("shop") / name
        content = path.read_bytes()
        for place in range(len(content)):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            with pytest.raises(MatineeError, match=path.name):
                assert (timeline(home, "shop"), alias(home, "shop", "champion")) == (events, target), bytes(flipped)
        path.write_bytes(content)


@pytest.mark.parametrize("bit", range(8))
def test_the_last_event_is_not_lost_with_its_line_end(home: Home, bit: int) -> None:
    move(home, "v10", day("02-10"))
    path = home.registry("shop") / "timeline.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1 << bit]))
    with pytest.raises(RegistryError, match=r"timeline\.jsonl:1: a line without its end; restore"):
        move(home, "v11", day("02-11"))
    path.write_bytes(content[:-1])  # all but the end was written, and neither head nor alias, when the process died
    (home.registry("shop") / "timeline_head.json").unlink()
    (home.registry("shop") / "aliases" / "champion.json").unlink()
    assert timeline(home, "shop") == []
