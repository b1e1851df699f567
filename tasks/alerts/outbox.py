"""Messages on disk: written before anything is sent, kept until every sink has them.

    alerts/waiting/<pipeline>/<day>/<id>.json    some sink has yet to take it
    alerts/settled/<pipeline>/<day>/<id>.json    no sink waits for it any more
    alerts/sinks/<sink>/state.json               since when a sink fails, and when it is tried next

Which messages are new is decided under one lock, and nobody waits for a network while holding it. A message names its
faults: once a message of a day names a fault with a severity, no other message of that day does, unless it got worse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from tasks.alerts.faults import worse
from tasks.errors import MatineeError
from tasks.store.atomic import locked
from tasks.store.files import Home, digest, safe_name
from tasks.store.records import Record

LOCK_SECONDS = 30
State = Literal["waiting", "settled"]


class Message(Record):
    """A notification.

    Attributes:
        pipeline: the pipeline it is about, or `airflow`.
        day: as-of day, in ISO form.
        severity: decides which sinks get it.
        kind: fault, more (several faults in one message), resolved or test.
        faults: the severity of each rule that it is about.
        title: one line.
        body: plain text.
        at: when it was written, in UTC; empty until then.
    """

    pipeline: str
    day: str
    severity: str
    kind: Literal["fault", "more", "resolved", "test"]
    faults: Mapping[str, str]
    title: str
    body: str
    at: str = ""

    @property
    def id(self) -> str:
        """Name of its file, derived from what it is about: two processes that write the same message write one file."""
        # The severities are part of it: a fault that got worse is another message.
        return digest([self.pipeline, self.day, self.kind, dict(self.faults)])[:16]


class OutboxEntry(Record):
    """A message, when each sink took it (UTC, by sink id), and how often the others failed to."""

    message: Message
    delivered: Mapping[str, str] = Field(default_factory=dict)
    tries: Mapping[str, int] = Field(default_factory=dict)


class SinkState(Record):
    """How a sink is doing: failures in a row, the error of the last one, and when it is tried next (UTC)."""

    failures: int = 0
    said: str = ""
    not_before: str = ""

    def is_paused_at(self, moment: datetime) -> bool:
        """Whether the sink is not to be tried yet."""
        return bool(self.not_before) and moment < datetime.fromisoformat(self.not_before)


Compose = Callable[[Sequence[Message]], Iterable[Message]]
"""Given the messages that exist, yields those that are to be added."""


class Outbox:
    """The messages of a state folder."""

    def __init__(self, home: Home) -> None:
        self.root = home.root / "alerts"

    def prepare(self) -> None:
        """Create the folder, readable for its owner only: messages quote data and errors."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def changed_at(self) -> float:
        """Time at which a message was last written or settled, in seconds since the epoch; 0: none waits."""
        days = (self.root / "waiting").glob("*/*")
        with suppress(FileNotFoundError):  # another process settled the last message of a day
            return max((day.stat().st_mtime for day in days), default=0.0)
        return time.time()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.prepare()
        with locked(self.root / ".lock", "another process is writing alerts; try again", seconds=LOCK_SECONDS):
            yield

    def add(self, pipeline: str, compose: Compose, *, has_sinks: bool = True) -> list[Message]:
        """Write the messages that `compose` yields; return those that did not exist yet, with their time.

        Args:
            pipeline: whose messages `compose` is given.
            compose: decides, under the lock, what is new; must not wait for anything slow.
            has_sinks: whether this process knows a sink. If it knows none, and no process ever did, messages are
                settled at once; otherwise they wait for a process that does.
        """
        with self._locked():
            existing = {entry.message.id: entry.message for entry in self.entries(pipeline)}
            added = []
            for message in compose(list(existing.values())):
                if message.id in existing:
                    continue
                stamped = message.model_copy(update={"at": message.at or _now()})
                keep = has_sinks or self._sinks().is_dir()
                self._write(OutboxEntry(message=stamped), "waiting" if keep else "settled")
                added.append(stamped)
            return added

    def entries(self, pipeline: str | None = None) -> list[OutboxEntry]:
        """Read all messages, of one pipeline or of all, in the order in which they were written."""
        # Settled ones are read last: an entry that is settled between the two reads is found there.
        entries = [*self._read("waiting", pipeline), *self._read("settled", pipeline)]
        return sorted({entry.message.id: entry for entry in entries}.values(), key=_order)

    def is_settled(self, message: Message) -> bool:
        """Whether no sink waits for a message any more."""
        return self._path(message, "settled").exists()

    def waiting(self) -> list[OutboxEntry]:
        """Read the messages that some sink has yet to take, in the order in which they were written."""
        # Between writing the settled copy and removing the waiting one, a process may have been killed.
        return sorted((e for e in self._read("waiting", None) if not self.is_settled(e.message)), key=_order)

    def _read(self, state: State, pipeline: str | None) -> Iterator[OutboxEntry]:
        folder = self.root / state / (safe_name(pipeline) if pipeline else "")
        for path in folder.rglob("*.json"):
            if not path.name.startswith("."):  # those are files that are being written
                with suppress(MatineeError):  # gone since it was listed: another process has settled it
                    yield OutboxEntry.read(path)

    def mark_delivered(self, message: Message, sink: str) -> None:
        """Record that a sink took a message."""
        self._change(message, lambda entry: {"delivered": {**entry.delivered, sink: _now()}})

    def mark_failed(self, message: Message, sink: str) -> None:
        """Record that a sink failed to take a message."""
        self._change(message, lambda entry: {"tries": {**entry.tries, sink: entry.tries.get(sink, 0) + 1}})

    def settle(self, sinks_of: Callable[[Message], set[str]]) -> None:
        """Move the messages out of `waiting` that all of the sinks have that want them (`sinks_of`, by id)."""
        # Asked without the lock, as most runs find nothing that waits.
        if not any((self.root / "waiting").glob("*/*/*.json")):
            return
        with self._locked():
            for entry in self._read("waiting", None):
                if sinks_of(entry.message) <= set(entry.delivered):
                    # In this order: of a message that stands in both folders, the settled copy is the one that counts.
                    self._write(entry, "settled")
                    self._path(entry.message, "waiting").unlink(missing_ok=True)

    def _change(self, message: Message, change: Callable[[OutboxEntry], Mapping[str, Mapping[str, object]]]) -> None:
        with self._locked():
            path = self._path(message, "waiting")
            if path.exists():  # else another process has settled it meanwhile
                entry = OutboxEntry.read(path)
                self._write(entry.model_copy(update=change(entry)), "waiting")

    def _write(self, entry: OutboxEntry, state: State) -> None:
        entry.write(self._path(entry.message, state))

    def _path(self, message: Message, state: State) -> Path:
        return self.root / state / safe_name(message.pipeline) / safe_name(message.day) / f"{message.id}.json"

    def _sinks(self) -> Path:
        return self.root / "sinks"

    def sink_folder(self, sink: str) -> Path:
        """Create the folder of a sink; from now on messages wait, because it is known that there are sinks."""
        self.prepare()
        folder = self._sinks() / safe_name(sink)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def sink_state(self, sink: str) -> SinkState:
        """Read how a sink is doing; a fresh state if nothing was recorded."""
        return SinkState.read_if_valid(self._sinks() / safe_name(sink) / "state.json") or SinkState()

    def set_sink_state(self, sink: str, state: SinkState) -> None:
        """Record how a sink is doing."""
        state.write(self.sink_folder(sink) / "state.json")


def notified_faults(messages: Iterable[Message], day: str) -> dict[str, str]:
    """Collect the faults of a day that some message names: the worst severity of each, by rule."""
    severities: dict[str, str] = {}
    for message in messages:
        if message.day == day and message.kind != "resolved":
            for rule, severity in message.faults.items():
                if rule not in severities or worse(severity, severities[rule]):
                    severities[rule] = severity
    return severities


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _order(entry: OutboxEntry) -> tuple[str, str]:
    return entry.message.at, entry.message.title
