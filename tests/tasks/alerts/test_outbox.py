"""Nothing is lost and nothing is told twice, whatever fails, is killed, or happens at once."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.alerts.alerts import EACH, collect
from tasks.alerts.faults import SEVERITIES, worse
from tasks.alerts.outbox import Message, Spool, known
from tasks.alerts.sinks import Sink, deliver
from tasks.store.files import Home
from tests.alerting import check, leave, run_of

SINKS = (Sink("json://a", "critical", 1), Sink("json://b", "warning", 2))


def message(rule: str = "r", severity: str = "critical", day: str = "2026-03-05") -> Message:
    return Message("tiny", day, severity, "fault", {rule: severity}, f"{day} {rule}", "body")


def test_a_message_is_there_once_and_survives(tmp_path: Path) -> None:
    spool = Spool(Home(tmp_path))
    assert [m.title for m in spool.add("tiny", lambda _: [message()])] == ["2026-03-05 r"]
    assert spool.add("tiny", lambda _: [message()]) == []
    spool.delivered(message(), SINKS[0].id)
    spool.refused(message(), SINKS[1].id)
    (entry,) = Spool(Home(tmp_path)).waiting()
    assert list(entry.delivered) == [SINKS[0].id]
    assert entry.tries == {SINKS[1].id: 1}
    assert entry.message.at != ""


def test_with_no_sink_ever_nobody_waits(tmp_path: Path) -> None:
    spool = Spool(Home(tmp_path))
    spool.add("tiny", lambda _: [message("a")], told=False)
    assert spool.waiting() == []
    deliver(spool, SINKS, via=lambda *_: None)  # from now on there are sinks here
    spool.add("tiny", lambda _: [message("b")], told=False)
    assert [entry.message.title for entry in spool.waiting()] == ["2026-03-05 b"]


def test_known_faults_are_those_of_the_day_with_the_worst_severity() -> None:
    told = [message("a", "warning"), message("a"), message("b", "warning"), message("c", day="2026-03-04")]
    assert known(told, "2026-03-05") == {"a": "critical", "b": "warning"}


def test_a_torn_file_of_a_killed_process_is_no_message(tmp_path: Path) -> None:
    spool = Spool(Home(tmp_path))
    spool.add("tiny", lambda _: [message()])
    (path,) = (tmp_path / "alerts").glob("waiting/tiny/*/*.json")
    path.with_name(f".{path.name}-x1y2").write_text("{")
    assert len(spool.entries()) == 1


def test_threads_that_tell_of_the_same_write_it_once(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check(f"column{n}") for n in range(4)])
    written: list[Message] = []
    sent: list[tuple[str, str]] = []

    def work() -> None:
        spool = Spool(Home(tmp_path))
        written.extend(collect(run, spool))
        deliver(spool, SINKS, via=lambda sink, m: sent.append((sink.id, m.title)))  # type: ignore[func-returns-value]

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 4
    assert sorted(Counter(sent).values()) == [1] * 8
    assert Spool(Home(tmp_path)).waiting() == []


class Killed(BaseException):
    """The process is gone: nothing catches it."""


@dataclass
class World:
    """A state folder, two sinks, and processes that may die at any rename or flush."""

    home: Path
    now: datetime = datetime(2026, 3, 6, tzinfo=UTC)
    down: set[str] = field(default_factory=set)
    got: list[tuple[str, Message]] = field(default_factory=list)
    doubtful: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    @property
    def spool(self) -> Spool:
        return Spool(Home(self.home))

    def send(self, sink: Sink, sent: Message) -> str | None:
        if sink.id in self.down:
            return "down"
        self.got.append((sink.id, sent))
        return None

    def fail(self, on: str, rules: dict[int, str]) -> None:
        """A run of a day fails by these rules, beside those that failed before."""
        checks = self.left.setdefault(on, [])
        checks += [check(f"c{number}", severity) for number, severity in rules.items()]
        leave(run_of(self.home, on), checks)

    def collect(self, on: str, points: int | None = None) -> None:
        with mortal(points):
            collect(run_of(self.home, on), self.spool)

    def deliver(self, points: int | None = None) -> None:
        before = len(self.got)
        with mortal(points):
            deliver(self.spool, SINKS, via=self.send, now=lambda: self.now)
        if len(self.got) > before:  # of the last one the record may be missing
            sink, sent = self.got[-1]
            if any(entry.message.id == sent.id and sink not in entry.delivered for entry in self.spool.waiting()):
                self.doubtful[sink, sent.id] += 1


class mortal(suppress):  # noqa: N801 - reads as a word
    """Die after so many flushes and renames; None: never."""

    def __init__(self, points: int | None) -> None:
        super().__init__(Killed)
        self.points = points

    def __enter__(self) -> None:
        rename: Callable[[Path, Path], Path] = Path.rename

        def point(*_: object) -> None:
            if self.points is not None:
                self.points -= 1
                if self.points < 0:
                    raise Killed

        def dying(path: Path, target: Path) -> Path:
            point()
            return rename(path, target)

        self.patches = [patch.object(os, "fsync", point), patch.object(Path, "rename", dying)]
        for each in self.patches:
            each.start()

    def __exit__(self, *error: object) -> bool:
        for each in self.patches:
            each.stop()
        return super().__exit__(*error)  # type: ignore[arg-type]


DAYS = ("03-03", "03-04", "03-05")
POINTS = st.none() | st.integers(0, 12)
STEPS = st.one_of(
    st.tuples(
        st.just("fail"),
        st.sampled_from(DAYS),
        st.dictionaries(st.integers(0, 12), st.sampled_from(["warning", "critical"]), max_size=12),
    ),
    st.tuples(st.just("collect"), st.sampled_from(DAYS), POINTS),
    st.tuples(st.just("deliver"), POINTS, st.integers(0, 1000)),
    st.tuples(st.just("switch"), st.sampled_from(SINKS), st.booleans()),
)


@settings(max_examples=80)
@given(st.lists(STEPS, max_size=14))
def test_every_sink_gets_every_fault_once(steps: list[tuple[object, ...]]) -> None:
    """Sinks go down and come back, processes are killed, and what a run left is told of again and again."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for step in steps:
            match step:
                case ("fail", str(on), dict(rules)):
                    world.fail(on, rules)
                case ("collect", str(on), points):
                    world.collect(on, points)  # type: ignore[arg-type]
                case ("deliver", points, int(seconds)):
                    world.now += timedelta(seconds=seconds)
                    world.deliver(points)  # type: ignore[arg-type]
                case ("switch", Sink() as sink, bool(down)):
                    world.down = world.down | {sink.id} if down else world.down - {sink.id}
        world.down.clear()
        for on in DAYS:
            world.collect(on)
        while world.spool.waiting():
            world.now += timedelta(hours=1)
            world.deliver()
        judge(world)


def judge(world: World) -> None:
    for sink in SINKS:
        mine = [sent for to, sent in world.got if to == sink.id]
        assert all(n <= 1 + world.doubtful[sink.id, each] for each, n in Counter(sent.id for sent in mine).items())
        told: dict[tuple[str, str], list[str]] = {}
        for sent in {each.id: each for each in mine}.values():
            assert sink.wants(sent.severity)
            for rule, severity in sent.faults.items():
                told.setdefault((sent.day, rule), []).append(severity)
        assert [each for each, severities in told.items() if len(severities) != len(set(severities))] == []
        wanted = {rule: severity for rule, severity in worst(world).items() if sink.wants(severity)}
        assert {rule: max(told.get(rule, ["info"]), key=SEVERITIES.index) for rule in wanted} == wanted
        alone = Counter(day for day, _ in {(sent.day, sent.id) for sent in mine if sent.kind == "fault"})
        assert max(alone.values(), default=0) <= EACH


def worst(world: World) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for on, checks in world.left.items():
        for record in checks:
            rule = (f"2026-{on}", f"check_landed: events: {record['column']} column_values_to_be_between")
            severity = str(record["severity"])
            if rule not in found or worse(severity, found[rule]):
                found[rule] = severity
    return found


def test_what_is_kept_of_a_message_is_plain(tmp_path: Path) -> None:
    spool = Spool(Home(tmp_path))
    spool.add("tiny", lambda _: [message()])
    deliver(spool, [Sink("json://user:hunter2@host/token", "critical", 1)], via=lambda *_: "down")
    text = "".join(path.read_text() for path in (tmp_path / "alerts").rglob("*.json"))
    assert "hunter2" not in text
    assert "token" not in text
    assert json.loads(next((tmp_path / "alerts").glob("waiting/**/*.json")).read_text())["message"]["title"]
