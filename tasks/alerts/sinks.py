"""Where alerts go: the URLs of `MATINEE_ALERTS`, retried with back-off, each message once for each sink.

A URL is a secret: nothing that is shown or written contains it or a part of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from tasks.alerts.faults import SEVERITIES, worse
from tasks.alerts.outbox import Message, Outbox, OutboxEntry, SinkState
from tasks.alerts.sender import SendOrder
from tasks.errors import MatineeError
from tasks.spec.project import TOOL
from tasks.store.atomic import locked

VARIABLE = "MATINEE_ALERTS"
SEND_SECONDS = 20
"""After this long the sending process is killed, and the sink has failed."""
PASS_SECONDS = 40
"""After this long a run begins no other message; what waits is sent by the watch or the next run."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=15)
SHORTEST_SECRET = 3
_SCHEME = "[A-Za-z][A-Za-z0-9+.-]*"


@dataclass(frozen=True)
class Sink:
    """One entry of the variable: a URL, the least severity that it gets, and its place among the entries."""

    url: str = field(repr=False)
    least: str
    number: int

    @property
    def name(self) -> str:
        """How people tell it from others: its place in the variable and its kind, nothing of its address."""
        return f"{self.number}:{urlsplit(self.url).scheme or 'no URL'}"

    @cached_property
    def id(self) -> str:
        """Its name on disk. A plain digest of a URL with a short token could be guessed; scrypt makes that slow."""
        return hashlib.scrypt(self.url.encode(), salt=b"matinee alerts", n=2**12, r=8, p=1, dklen=8).hex()

    def wants(self, severity: str) -> bool:
        """Whether it gets messages of a severity."""
        return not worse(self.least, severity)

    def masked(self, text: str) -> str:
        """Replace everything in a text that stems from the URL, but for its scheme, by `***`."""
        parts = urlsplit(self.url)
        pieces = {self.url, parts.netloc, parts.path, parts.query, parts.username or "", parts.password or ""}
        pieces |= {
            *re.split(r"[/,:@]", parts.netloc + "/" + parts.path),
            *(value for _, value in parse_qsl(parts.query)),
        }
        pieces |= {unquote(piece) for piece in pieces}
        # The longest first: a short piece inside of a longer one would leave the longer one's ends readable.
        for piece in sorted(pieces, key=len, reverse=True):
            if len(piece.strip("/")) >= SHORTEST_SECRET:
                text = text.replace(piece, "***")
        return text


Send = Callable[[Sink, Message], str | None]
"""Sends a message; returns None, or why it was not taken."""


def configured_sinks() -> list[Sink]:
    """Parse the variable; an entry that is not a URL becomes a sink that fails, so that `alerts test` shows it."""
    sinks = []
    for number, entry in enumerate(os.environ.get(VARIABLE, "").split(), start=1):
        match = re.fullmatch(rf"(?:({'|'.join(SEVERITIES)})=)?({_SCHEME}://\S+)", entry)
        sinks.append(Sink(match[2], match[1] or "critical", number) if match else Sink(entry, "critical", number))
    return sinks


def send(sink: Sink, message: Message) -> str | None:
    """Send a message through Apprise, in a process of its own that is killed when it takes too long."""
    if not re.match(f"{_SCHEME}://", sink.url):
        return (
            f"entry {sink.number} of {VARIABLE} is not a URL; expected entries like slack://… or warning=mailtos://…, "
            f"separated by spaces or line breaks, with one of {', '.join(SEVERITIES)} before the ="
        )
    kind = "success" if message.kind == "resolved" else _TYPES[message.severity]
    order = SendOrder(url=sink.url, title=message.title, body=message.body, type=kind)
    # A warning could be the last line of stderr, which is shown if the process ends without a word on stdout.
    command = [sys.executable, "-W", "ignore", "-m", f"{__package__}.sender"]
    try:
        # The URL goes through standard input: arguments can be read by every user of the machine.
        done = subprocess.run(
            command,
            input=order.model_dump_json(),
            cwd=TOOL,
            capture_output=True,
            text=True,
            timeout=SEND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {SEND_SECONDS} s"
    if done.returncode == 0:
        return None
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return sink.masked(lines[-1] if lines else f"the sending process ended with {done.returncode}")


_TYPES: dict[str, Literal["info", "warning", "failure"]] = {
    "info": "info",
    "warning": "warning",
    "critical": "failure",
}


def deliver(
    outbox: Outbox,
    sinks: Sequence[Sink],
    *,
    via: Send | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    seconds: float = PASS_SECONDS,
    force: bool = False,
) -> int:
    """Send what waits; return how many messages were sent.

    One process at a time serves a sink. It starts with the messages that failed least, so that one which the sink never
    takes does not hold up the others. At its first failure a sink is paused, twice as long each time.

    Args:
        outbox: the messages.
        sinks: all that there are; a message is settled once those of them that want it have it.
        via: sends one message, in place of Apprise.
        now: the clock.
        seconds: no message is begun later than this.
        force: also try sinks that are paused.
    """
    end, sent = time.monotonic() + seconds, 0
    for sink in sinks:
        outbox.sink_folder(sink.id)
    for sink in sinks:
        if any(_is_due(entry, sink) for entry in outbox.waiting()):
            sent += _serve(outbox, sink, via or send, now, end, force)
    if sinks:
        outbox.settle(lambda message: {sink.id for sink in sinks if sink.wants(message.severity)})
    return sent


class _SinkBusyError(MatineeError):
    """Another process is sending to the same sink."""


def _serve(outbox: Outbox, sink: Sink, via: Send, now: Callable[[], datetime], end: float, force: bool) -> int:
    sent = 0
    lock, wait = outbox.sink_folder(sink.id) / ".lock", max(0.0, end - time.monotonic())
    try:
        with locked(lock, "another process is sending to it", seconds=wait, error=_SinkBusyError):
            # Read again under the lock: another process may have sent some of them.
            due = [entry for entry in outbox.waiting() if _is_due(entry, sink)]
            for entry in sorted(due, key=lambda entry: entry.tries.get(sink.id, 0)):
                state = outbox.sink_state(sink.id)
                if time.monotonic() > end or (not force and state.is_paused_at(now())):
                    break
                error = via(sink, entry.message)
                if error is not None:
                    outbox.mark_failed(entry.message, sink.id)
                    outbox.set_sink_state(sink.id, _after_failure(state, error, now()))
                    break
                # A process that is killed here sends the message a second time: no sink offers a transaction.
                outbox.mark_delivered(entry.message, sink.id)
                sent += 1
                if state.failures:
                    outbox.set_sink_state(sink.id, SinkState())
    except _SinkBusyError:
        pass  # another process serves it, for longer than this one may take
    return sent


def _after_failure(state: SinkState, error: str, now: datetime) -> SinkState:
    # The exponent is capped because timedelta overflows long before a sink is given up.
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(state.failures, 16))
    return SinkState(failures=state.failures + 1, said=error, not_before=(now + pause).isoformat())


def _is_due(entry: OutboxEntry, sink: Sink) -> bool:
    return sink.wants(entry.message.severity) and sink.id not in entry.delivered
