"""Which sinks there are, what is never shown of them, and how often they are tried."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.alerts import sinks as alert_sinks
from tasks.alerts.outbox import Message, Outbox
from tasks.alerts.sinks import Sink, configured_sinks, deliver, send
from tasks.store.files import Home
from tests.alerting import message as handmade_message

NOW = datetime(2026, 3, 6, 7, tzinfo=UTC)


def message(number: int = 1, severity: str = "critical") -> Message:
    return handmade_message(f"rule {number}", severity, title=f"title {number}")


class Service:
    """A sink that can be down, or refuse a message for ever."""

    def __init__(self) -> None:
        self.down = False
        self.refuses = ""
        self.taken: list[str] = []

    def __call__(self, _sink: Sink, sent: Message) -> str | None:
        if self.down or sent.title == self.refuses:
            return "no"
        self.taken.append(sent.title)
        return None


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(Home(tmp_path))


def test_entries_have_a_least_severity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_ALERTS", " json://a/b\nwarning=mailtos://u:p@c?to=x@y \t info=slack://A/B/C/#d")
    assert [(sink.name, sink.least) for sink in configured_sinks()] == [
        ("1:json", "critical"),
        ("2:mailtos", "warning"),
        ("3:slack", "info"),
    ]
    assert [sink.wants("warning") for sink in configured_sinks()] == [False, True, True]
    monkeypatch.delenv("MATINEE_ALERTS")
    assert configured_sinks() == []


@pytest.mark.parametrize("entry", ["secret", "loud=json://secret", "://secret", "warning=secret"])
def test_an_entry_that_is_no_url_takes_nothing_and_is_not_shown(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_ALERTS", f"json://a {entry}")
    good, bad = configured_sinks()
    assert (good.name, bad.name) == ("1:json", "2:no URL")
    said = send(bad, message())
    assert said is not None
    assert said.startswith("entry 2 of MATINEE_ALERTS is not a URL; expected entries like")
    assert "secret" not in f"{said} {bad} {bad.name}"


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
        "mailtos://bob:hunter%2F2secret@smtp.example.org:465?to=ops@example.org&from=me",
        "json://user:hunter2@host.example.org/path/to/token",
    ],
)
def test_nothing_of_a_url_is_shown(url: str) -> None:
    sink = Sink(url, "critical", 1)
    pieces = ["T1JJ3T3L2", "TIiajkdnlazkcOXrIdevi7FQ", "hunter%2F2secret", "hunter/2secret", "hunter2", "token", "bob"]
    masked = sink.masked(f"cannot send to {url}: " + " ".join(piece for piece in pieces if piece in url))
    assert not [piece for piece in pieces if piece in masked]
    assert not [piece for piece in pieces if piece in f"{sink} {sink.name} {sink.id}"]


def test_a_url_that_apprise_does_not_know_is_said_so() -> None:
    said = send(Sink("nosuch://secret@host/x", "critical", 1), message())
    assert said is not None
    assert said.startswith("Apprise does not know this kind of URL")
    assert "secret" not in said


def test_a_sink_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(alert_sinks, "SEND_SECONDS", 0.01)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        said = send(Sink(f"json://127.0.0.1:{silent.getsockname()[1]}", "critical", 1), message())
    assert said == "no answer within 0.01 s"


def test_each_sink_gets_what_it_wants_once(outbox: Outbox) -> None:
    outbox.add("tiny", lambda _: [message(1), message(2, "warning")])
    both = [Sink("json://a", "critical", 1), Sink("json://b", "warning", 2)]
    got: list[tuple[str, str]] = []

    def note(sink: Sink, sent: Message) -> None:
        got.append((sink.url, sent.title))

    for _ in range(3):
        deliver(outbox, both, via=note)
    assert sorted(got) == [("json://a", "title 1"), ("json://b", "title 1"), ("json://b", "title 2")]
    assert outbox.waiting() == []


def test_a_sink_that_fails_is_tried_less_and_less_often(outbox: Outbox) -> None:
    outbox.add("tiny", lambda _: [message()])
    service, sink, tried = Service(), Sink("json://a", "critical", 1), []
    service.down = True

    def noted(sink: Sink, sent: Message) -> str | None:
        tried.append(moment)
        return service(sink, sent)

    for step in range(720):
        moment = NOW + timedelta(seconds=5 * step)
        deliver(outbox, [sink], via=noted, now=lambda: moment)  # noqa: B023
    pauses = [(after - before).total_seconds() for before, after in itertools.pairwise(tried)]
    assert pauses == [15, 30, 60, 120, 240, 480, 900, 900]
    assert outbox.sink_state(sink.id).said == "no"
    service.down = False
    assert deliver(outbox, [sink], via=service, now=lambda: NOW, force=True) == 1
    assert outbox.sink_state(sink.id).failures == 0


def test_a_message_that_is_never_taken_holds_up_no_other(outbox: Outbox) -> None:
    service, sink = Service(), Sink("json://a", "critical", 1)
    service.refuses = "title 1"
    outbox.add("tiny", lambda _: [message(number) for number in (1, 2, 3)])
    for hour in range(3):
        deliver(outbox, [sink], via=service, now=lambda hour=hour: NOW + timedelta(hours=hour))  # type: ignore[misc]
    assert service.taken == ["title 2", "title 3"]
    assert [entry.message.title for entry in outbox.waiting()] == ["title 1"]


def test_no_message_is_begun_after_the_time_that_is_given(outbox: Outbox) -> None:
    outbox.add("tiny", lambda _: [message(1), message(2)])
    service = Service()
    assert deliver(outbox, [Sink("json://a", "critical", 1)], via=service, seconds=-1) == 0
    assert service.taken == []
    assert len(outbox.waiting()) == 2


def test_a_sink_that_comes_later_gets_what_waits_and_not_what_is_settled(outbox: Outbox) -> None:
    old, new = Sink("slack://revoked", "critical", 1), Sink("slack://fresh", "critical", 1)
    service: Any = Service()
    outbox.add("tiny", lambda _: [message(1)])
    deliver(outbox, [old], via=service)
    outbox.add("tiny", lambda _: [message(2)])
    service.down = True
    deliver(outbox, [old], via=service)
    service.down = False
    deliver(outbox, [new], via=service)  # its token was replaced
    assert service.taken == ["title 1", "title 2"]
    assert outbox.waiting() == []
