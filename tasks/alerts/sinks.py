"""Where alerts go: the URLs of `MATINEE_ALERTS`, tried with back-off, each message once for each sink.

A URL is a secret: it is handed to the sending process on its standard input, and nothing that is shown or written
holds it or a part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from urllib.parse import parse_qsl, unquote, urlsplit

from tasks.alerts.faults import SEVERITIES, worse
from tasks.alerts.outbox import Entry, Message, SinkState, Spool
from tasks.errors import MatineeError
from tasks.spec.project import PROJECT
from tasks.store.files import locked

VARIABLE = "MATINEE_ALERTS"
SEND_SECONDS = 20
"""Then the sending process is ended, and the sink has failed."""
PASS_SECONDS = 40
"""Beyond this a run does not begin to send another message; what waits is sent later."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)
SHORTEST_SECRET = 3
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"


@dataclass(frozen=True)
class Sink:
    """One URL, and the least severity that it wants."""

    url: str = field(repr=False)
    least: str
    number: int

    @property
    def name(self) -> str:
        """How people tell it from others: its place in the variable and its kind, nothing of its address."""
        return f"{self.number}:{urlsplit(self.url).scheme or 'no URL'}"

    @cached_property
    def id(self) -> str:
        """How it is called on disk: a digest that is slow to guess from."""
        return hashlib.scrypt(self.url.encode(), salt=b"matinee alerts", n=2**12, r=8, p=1, dklen=8).hex()

    def wants(self, severity: str) -> bool:
        """Tell whether it wants messages of a severity."""
        return not worse(self.least, severity)

    def masked(self, text: str) -> str:
        """Return a text without anything of the URL but its scheme."""
        parts = urlsplit(self.url)
        pieces = {self.url, parts.netloc, parts.path, parts.query, parts.username or "", parts.password or ""}
        pieces |= {
            *re.split(r"[/,:@]", parts.netloc + "/" + parts.path),
            *(value for _, value in parse_qsl(parts.query)),
        }
        pieces |= {unquote(piece) for piece in pieces}
        for piece in sorted(pieces, key=len, reverse=True):
            if len(piece.strip("/")) >= SHORTEST_SECRET:
                text = text.replace(piece, "***")
        return text


Send = Callable[[Sink, Message], str | None]
"""Send a message; return None, or what went wrong."""


def sinks() -> list[Sink]:
    """Return the sinks that the environment names; an entry that is no URL is a sink that takes nothing."""
    found = []
    for number, entry in enumerate(os.environ.get(VARIABLE, "").split(), start=1):
        match = re.fullmatch(rf"(?:({'|'.join(SEVERITIES)})=)?({_SCHEME}://\S+)", entry)
        found.append(Sink(match[2], match[1] or "critical", number) if match else Sink(entry, "critical", number))
    return found


def send(sink: Sink, message: Message) -> str | None:
    """Send a message through Apprise, in a process of its own that is ended when it takes too long."""
    if not re.match(f"{_SCHEME}://", sink.url):
        return (
            f"entry {sink.number} of {VARIABLE} is no URL; expected entries like slack://… or warning=mailtos://…, "
            f"with spaces or line ends between them and one of {', '.join(SEVERITIES)} before the ="
        )
    order = {
        "url": sink.url,
        "title": message.title,
        "body": message.body,
        "type": "success" if message.kind == "resolved" else _TYPES[message.severity],
    }
    command = [sys.executable, "-W", "ignore", "-m", "tasks.alerts.sender"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(order),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=SEND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {SEND_SECONDS} s"
    if done.returncode == 0:
        return None
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return sink.masked(said[-1] if said else f"the sending process ended with {done.returncode}")


_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


def deliver(
    spool: Spool,
    to: Sequence[Sink],
    *,
    via: Send | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    seconds: float = PASS_SECONDS,
    forced: bool = False,
) -> int:
    """Send what waits; return how many messages were sent.

    A sink is served by one process at a time. It gets the messages that failed least first, so that one it never takes
    holds up no other; at its first failure it is left alone for a while, twice as long each time.

    Args:
        spool: the messages.
        to: all sinks there are.
        via: sends one message, in place of Apprise.
        now: the clock.
        seconds: no message is begun later than this.
        forced: also try sinks that are being left alone.
    """
    end, sent = time.monotonic() + seconds, 0
    for sink in to:
        spool.sink_folder(sink.id)
    for sink in to:
        if any(_due(entry, sink) for entry in spool.waiting()):
            sent += _serve(spool, sink, via or send, now, end, forced)
    if to:
        spool.settle(lambda message: {sink.id for sink in to if sink.wants(message.severity)})
    return sent


class _SinkBusyError(MatineeError):
    """Another process is sending to the same sink."""


def _serve(spool: Spool, sink: Sink, send: Send, now: Callable[[], datetime], end: float, forced: bool) -> int:
    sent = 0
    lock, wait = spool.sink_folder(sink.id) / ".lock", max(0.0, end - time.monotonic())
    try:
        with locked(lock, "another process is sending to it", seconds=wait, error=_SinkBusyError):
            due = [entry for entry in spool.waiting() if _due(entry, sink)]  # again: another process may have sent it
            for entry in sorted(due, key=lambda entry: entry.tries.get(sink.id, 0)):
                state = spool.sink(sink.id)
                if time.monotonic() > end or (not forced and state.rests_at(now())):
                    break
                said = send(sink, entry.message)
                if said is not None:
                    spool.refused(entry.message, sink.id)
                    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(state.failures, 16))
                    spool.set_sink(sink.id, SinkState(state.failures + 1, said, (now() + pause).isoformat()))
                    break
                spool.delivered(entry.message, sink.id)
                sent += 1
                if state.failures:
                    spool.set_sink(sink.id, SinkState())
    except _SinkBusyError:
        pass  # another process serves it, for longer than this one may take
    return sent


def _due(entry: Entry, sink: Sink) -> bool:
    return sink.wants(entry.message.severity) and sink.id not in entry.delivered
