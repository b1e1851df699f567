"""Messages on disk: written before anything is sent, kept until every sink has them.

    alerts/waiting/<pipeline>/<day>/<id>.json    some sink has yet to take it
    alerts/settled/<pipeline>/<day>/<id>.json    nobody waits for it any more
    alerts/sinks/<sink>/state.json               since when a sink fails, and when it is tried next

What makes a message is decided under one lock, for which nobody waits for a network. A message names the faults it
tells of: a fault that some message of its day names, with its severity or a worse one, is never told again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.alerts.faults import worse
from tasks.errors import MatineeError
from tasks.store.files import Home, digest, locked, read_json, safe_name, write_json

LOCK_SECONDS = 30


@dataclass(frozen=True)
class Message:
    """What is sent.

    Attributes:
        pipeline: or `airflow`.
        day: as-of day, in ISO form.
        severity: by which sinks choose.
        kind: fault, more (several faults in one message) or resolved.
        faults: the severity of each rule that it tells of.
        title: one line.
        body: plain text.
        at: when it was written, in UTC.
    """

    pipeline: str
    day: str
    severity: str
    kind: str
    faults: Mapping[str, str]
    title: str
    body: str
    at: str = ""

    @property
    def id(self) -> str:
        """Name of its file: a function of what it tells of."""
        return digest([self.pipeline, self.day, self.kind, dict(self.faults)])[:16]


@dataclass(frozen=True)
class Entry:
    """A message in the spool, the sinks that have it, and how often others were tried."""

    message: Message
    delivered: Mapping[str, str] = field(default_factory=dict)
    tries: Mapping[str, int] = field(default_factory=dict)
    settled: bool = False


@dataclass(frozen=True)
class SinkState:
    """How a sink has been doing: failures in a row, the last one's words, and when it is tried next (UTC)."""

    failures: int = 0
    said: str = ""
    not_before: str = ""

    def rests_at(self, moment: datetime) -> bool:
        """Tell whether it is left alone at a moment."""
        return bool(self.not_before) and moment < datetime.fromisoformat(self.not_before)


Compose = Callable[[Sequence[Message]], Iterable[Message]]
"""Given the messages there are, return those that are to be added."""


class Spool:
    """The messages of a state folder."""

    def __init__(self, home: Home) -> None:
        self.root = home.root / "alerts"

    def prepare(self) -> None:
        """Make the folder, for its owner only."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.prepare()
        with locked(self.root / ".lock", "another process is writing alerts; try again", seconds=LOCK_SECONDS):
            yield

    def add(self, pipeline: str, compose: Compose, *, told: bool = True) -> list[Message]:
        """Write the messages that `compose` makes of those of the pipeline; return what was not there already.

        Args:
            pipeline: whose messages are looked at.
            compose: decides, under the lock, what is new.
            told: whether this process knows a sink; if it knows none and none was ever known here, nobody waits.
        """
        with self._locked():
            there = {entry.message.id: entry for entry in self.entries(pipeline)}
            added = []
            for message in compose([entry.message for entry in there.values()]):
                if message.id in there:
                    continue
                stamped = replace(message, at=message.at or datetime.now(UTC).isoformat(timespec="seconds"))
                self._write(Entry(stamped, settled=not told and not self._sinks().is_dir()))
                added.append(stamped)
            return added

    def entries(self, pipeline: str | None = None) -> list[Entry]:
        """Return all messages, of a pipeline or of all, in the order in which they were written."""
        found = {
            entry.message.id: entry for entry in [*self._read("waiting", pipeline), *self._read("settled", pipeline)]
        }
        return sorted(found.values(), key=_order)  # what was moved meanwhile is found among the settled ones

    def waiting(self) -> list[Entry]:
        """Return the messages that some sink has yet to take."""
        entries = [e for e in self._read("waiting", None) if not self._path(e.message, "settled").exists()]
        return sorted(entries, key=_order)

    def _read(self, state: str, pipeline: str | None) -> Iterator[Entry]:
        folder = self.root / state / (safe_name(pipeline) if pipeline else "")
        for path in folder.rglob("*.json"):
            if not path.name.startswith("."):
                with suppress(MatineeError):  # gone: it has been settled
                    yield _entry(read_json(path), settled=state == "settled")

    def delivered(self, message: Message, sink: str) -> None:
        """Record that a sink has a message."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._change(message, lambda entry: replace(entry, delivered={**entry.delivered, sink: now}))

    def refused(self, message: Message, sink: str) -> None:
        """Record that a sink did not take a message."""
        self._change(message, lambda entry: replace(entry, tries={**entry.tries, sink: entry.tries.get(sink, 0) + 1}))

    def settle(self, wanted: Callable[[Message], set[str]]) -> None:
        """Put away the messages that every sink has which wants them."""
        if not any((self.root / "waiting").glob("*/*/*.json")):
            return
        with self._locked():
            for entry in self._read("waiting", None):
                if wanted(entry.message) <= set(entry.delivered):
                    self._write(replace(entry, settled=True))
                    self._path(entry.message, "waiting").unlink(missing_ok=True)

    def _change(self, message: Message, change: Callable[[Entry], Entry]) -> None:
        with self._locked():
            path = self._path(message, "waiting")
            if path.exists():
                self._write(change(_entry(read_json(path), settled=False)))

    def _write(self, entry: Entry) -> None:
        content = {"message": asdict(entry.message), "delivered": dict(entry.delivered), "tries": dict(entry.tries)}
        write_json(self._path(entry.message, "settled" if entry.settled else "waiting"), content)

    def _path(self, message: Message, state: str) -> Path:
        return self.root / state / safe_name(message.pipeline) / safe_name(message.day) / f"{message.id}.json"

    def _sinks(self) -> Path:
        return self.root / "sinks"

    def sink_folder(self, sink: str) -> Path:
        """Return the folder of a sink; from now on it is known here that there are sinks."""
        self.prepare()
        folder = self._sinks() / safe_name(sink)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def sink(self, sink: str) -> SinkState:
        """Return how a sink has been doing."""
        path = self._sinks() / safe_name(sink) / "state.json"
        try:
            return SinkState(**read_json(path))
        except (MatineeError, TypeError):
            return SinkState()

    def set_sink(self, sink: str, state: SinkState) -> None:
        """Record how a sink is doing."""
        write_json(self.sink_folder(sink) / "state.json", asdict(state))


def known(messages: Iterable[Message], day: str) -> dict[str, str]:
    """Return the faults of a day that some message tells of, each with the worst severity that was told."""
    told: dict[str, str] = {}
    for message in messages:
        if message.day == day and message.kind != "resolved":
            for rule, severity in message.faults.items():
                if rule not in told or worse(severity, told[rule]):
                    told[rule] = severity
    return told


def _order(entry: Entry) -> tuple[str, str]:
    return entry.message.at, entry.message.title


def _entry(content: Mapping[str, Any], *, settled: bool) -> Entry:
    return Entry(Message(**content["message"]), content["delivered"], content["tries"], settled)
