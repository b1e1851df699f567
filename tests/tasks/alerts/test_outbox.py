"""Nothing is lost and nothing is sent twice, whatever fails, is killed, or happens at once."""

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

from tasks.alerts.alerts import MOST_MESSAGES, write_messages
from tasks.alerts.faults import SEVERITIES, worse
from tasks.alerts.outbox import Message, Outbox, notified_faults
from tasks.alerts.sinks import Sink, deliver
from tasks.store.files import Home
from tests.alerting import check, leave, message, run_of

SINKS = (Sink("json://a", "critical", 1), Sink("json://b", "warning", 2))


def test_a_message_is_there_once_and_survives(tmp_path: Path) -> None:
    outbox = Outbox(Home(tmp_path))
    assert [m.title for m in outbox.add("tiny", lambda _: [message()])] == ["title"]
    assert outbox.add("tiny", lambda _: [message()]) == []
    outbox.mark_delivered(message(), SINKS[0].id)
    outbox.mark_failed(message(), SINKS[1].id)
    (entry,) = Outbox(Home(tmp_path)).waiting()
    assert list(entry.delivered) == [SINKS[0].id]
    assert entry.tries == {SINKS[1].id: 1}
    assert entry.message.at != ""


def test_with_no_sink_ever_nobody_waits(tmp_path: Path) -> None:
    outbox = Outbox(Home(tmp_path))
    outbox.add("tiny", lambda _: [message("a", title="a")], has_sinks=False)
    assert outbox.waiting() == []
    deliver(outbox, SINKS, via=lambda *_: None)  # from now on there are sinks here
    outbox.add("tiny", lambda _: [message("b", title="b")], has_sinks=False)
    assert [entry.message.title for entry in outbox.waiting()] == ["b"]


def test_known_faults_are_those_of_the_day_with_the_worst_severity() -> None:
    messages = [message("a", "warning"), message("a"), message("b", "warning"), message("c", on="2026-03-04")]
    assert notified_faults(messages, "2026-03-05") == {"a": "critical", "b": "warning"}


def test_a_torn_file_of_a_killed_process_is_no_message(tmp_path: Path) -> None:
    outbox = Outbox(Home(tmp_path))
    outbox.add("tiny", lambda _: [message()])
    (path,) = (tmp_path / "alerts").glob("waiting/tiny/*/*.json")
    path.with_name(f".{path.name}-x1y2").write_text("{")
    assert len(outbox.entries()) == 1


def test_threads_that_notify_of_the_same_write_it_once(tmp_path: Path) -> None:
    run = leave(run_of(tmp_path), [check(f"column{n}") for n in range(4)])
    written: list[Message] = []
    sent: list[tuple[str, str]] = []

    def work() -> None:
        outbox = Outbox(Home(tmp_path))
        written.extend(write_messages(run, outbox))
        deliver(outbox, SINKS, via=lambda sink, m: sent.append((sink.id, m.title)))  # type: ignore[func-returns-value]

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 4
    assert sorted(Counter(sent).values()) == [1] * 8
    assert Outbox(Home(tmp_path)).waiting() == []


class Killed(BaseException):
    """The process is gone: nothing catches it."""


@dataclass
class Simulation:
    """A state folder, two sinks, and processes that may die at any rename or flush."""

    home: Path
    now: datetime = datetime(2026, 3, 6, tzinfo=UTC)
    down: set[str] = field(default_factory=set)
    got: list[tuple[str, Message]] = field(default_factory=list)
    doubtful: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    @property
    def outbox(self) -> Outbox:
        return Outbox(Home(self.home))

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

    def notify(self, on: str, points: int | None = None) -> None:
        with mortal(points):
            write_messages(run_of(self.home, on), self.outbox)

    def deliver(self, points: int | None = None) -> None:
        before = len(self.got)
        with mortal(points):
            deliver(self.outbox, SINKS, via=self.send, now=lambda: self.now)
        if len(self.got) > before:  # of the last one the record may be missing
            sink, sent = self.got[-1]
            if any(entry.message.id == sent.id and sink not in entry.delivered for entry in self.outbox.waiting()):
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
    st.tuples(st.just("notify"), st.sampled_from(DAYS), POINTS),
    st.tuples(st.just("deliver"), POINTS, st.integers(0, 1000)),
    st.tuples(st.just("switch"), st.sampled_from(SINKS), st.booleans()),
)


@settings(max_examples=80)
@given(st.lists(STEPS, max_size=14))
def test_every_sink_gets_every_fault_once(steps: list[tuple[object, ...]]) -> None:
    """Sinks go down and come back, processes are killed, and the alerts of a run are sent again and again."""
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(Path(folder))
        for step in steps:
            match step:
                case ("fail", str(on), dict(rules)):
                    simulation.fail(on, rules)
                case ("notify", str(on), points):
                    simulation.notify(on, points)  # type: ignore[arg-type]
                case ("deliver", points, int(seconds)):
                    simulation.now += timedelta(seconds=seconds)
                    simulation.deliver(points)  # type: ignore[arg-type]
                case ("switch", Sink() as sink, bool(down)):
                    simulation.down = simulation.down | {sink.id} if down else simulation.down - {sink.id}
        simulation.down.clear()
        for on in DAYS:
            simulation.notify(on)
        while simulation.outbox.waiting():
            simulation.now += timedelta(hours=1)
            simulation.deliver()
        verify(simulation)


def verify(simulation: Simulation) -> None:
    for sink in SINKS:
        mine = [sent for to, sent in simulation.got if to == sink.id]
        assert all(n <= 1 + simulation.doubtful[sink.id, each] for each, n in Counter(sent.id for sent in mine).items())
        by_fault: dict[tuple[str, str], list[str]] = {}
        for sent in {each.id: each for each in mine}.values():
            assert sink.wants(sent.severity)
            for rule, severity in sent.faults.items():
                by_fault.setdefault((sent.day, rule), []).append(severity)
        assert [each for each, severities in by_fault.items() if len(severities) != len(set(severities))] == []
        wanted = {rule: severity for rule, severity in worst(simulation).items() if sink.wants(severity)}
        assert {rule: max(by_fault.get(rule, ["info"]), key=SEVERITIES.index) for rule in wanted} == wanted
        alone = Counter(day for day, _ in {(sent.day, sent.id) for sent in mine if sent.kind == "fault"})
        assert max(alone.values(), default=0) <= MOST_MESSAGES


def worst(simulation: Simulation) -> dict[tuple[str, str], str]:
    severities: dict[tuple[str, str], str] = {}
    for on, checks in simulation.left.items():
        for record in checks:
            rule = (f"2026-{on}", f"check_landed: events: {record['column']} column_values_to_be_between")
            severity = str(record["severity"])
            if rule not in severities or worse(severity, severities[rule]):
                severities[rule] = severity
    return severities


def test_what_is_kept_of_a_message_is_plain(tmp_path: Path) -> None:
    outbox = Outbox(Home(tmp_path))
    outbox.add("tiny", lambda _: [message()])
    deliver(outbox, [Sink("json://user:hunter2@host/token", "critical", 1)], via=lambda *_: "down")
    text = "".join(path.read_text() for path in (tmp_path / "alerts").rglob("*.json"))
    assert "hunter2" not in text
    assert "token" not in text
    assert json.loads(next((tmp_path / "alerts").glob("waiting/**/*.json")).read_text())["message"]["title"]


def test_the_watch_sees_that_a_message_was_written(tmp_path: Path) -> None:
    outbox = Outbox(Home(tmp_path))
    assert outbox.changed_at() == 0.0
    write_messages(leave(run_of(tmp_path, "03-05"), [check("rows")]), outbox)
    first = outbox.changed_at()
    assert first > 0.0
    os.utime(next((tmp_path / "alerts" / "waiting").glob("*/*")), (1, 1))
    assert outbox.changed_at() == 1.0
    write_messages(leave(run_of(tmp_path, "03-05", "2"), [check("rows"), check("n")]), outbox)
    assert outbox.changed_at() >= first
