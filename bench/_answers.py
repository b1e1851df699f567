"""Every answer of an API server: what was asked, the status, and how long it took."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench._live_stack import LiveAirflow
from bench._results import table

SLOWEST = 2.0
"""Seconds after which a person at a desk takes the page for dead."""
NO_ANSWER = 0
"""Stands for the status of a request that was not answered."""
# What stands in place of the names in an address, so that requests of a kind are counted together.
NAMES = {
    r"/(dags|grid/runs|grid/structure|grid/ti_summaries|pages|run)/[^/?]+": r"/\1/{dag}",
    r"/dagRuns/(?!~)[^/?]+": "/dagRuns/{run}",
    r"/run/\{dag\}/[^/?]+": "/run/{dag}/{run}",
    r"/taskInstances/[^/?]+": "/taskInstances/{task}",
    r"/logs/\d+": "/logs/{try}",
    r"/(variables|pools|connections|backfills)/[^/?]+": r"/\1/{name}",
    r"/runs/\{dag\}/.*": "/runs/{dag}/…",
}


@dataclass(frozen=True)
class Answer:
    """An answer: the kind of request, its status, and the seconds until it was whole."""

    kind: str
    status: int
    seconds: float

    @property
    def is_write(self) -> bool:
        """Whether the request changed something."""
        return not self.kind.startswith("GET ")


def kind_of(method: str, path: str) -> str:
    """Name the kind of a request: its method and its address without names."""
    for pattern, general in NAMES.items():
        path = re.sub(pattern, general, path)
    return f"{method} {path.removeprefix('/api/v2')}"


@dataclass(frozen=True)
class Answers(httpx.BaseTransport):
    """Passes requests on, and keeps what was answered."""

    inner: httpx.BaseTransport = field(default_factory=httpx.HTTPTransport)
    all: list[Answer] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, and wait for the whole answer."""
        kind, began, status = kind_of(request.method, request.url.path), time.monotonic(), NO_ANSWER
        try:
            response = self.inner.handle_request(request)
            response.read()
            status = response.status_code
            return response
        finally:
            self.all.append(Answer(kind, status, time.monotonic() - began))


class WatchedAirflow(LiveAirflow):
    """A session whose answers are all kept."""

    def __init__(self, home: Path, port: int, answers: Answers) -> None:
        super().__init__(home, port)
        self._client.close()
        self._client = httpx.Client(base_url=self.url, timeout=120, trust_env=False, transport=answers)

    def page(self, path: str) -> str:
        """Read one of the pages of the plugin, following its redirects, as a browser does."""
        if not self._headers:
            self._login()
        return self._client.get(path, headers=self._headers, follow_redirects=True).text


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of the values that at least such a share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 1).__int__() - 1)] if ordered else 0.0


def faults(answers: Sequence[Answer]) -> list[str]:
    """Name the answers that an operator would complain about: none at all, a server error, a refusal, a long wait."""
    bad = []
    for answer in answers:
        # Asked for before it is there, which is how the acts wait for a run.
        is_not_yet = answer.status == 404 and not answer.is_write
        if answer.status == NO_ANSWER or (answer.status >= 400 and not is_not_yet):
            bad.append(f"{answer.kind}: {answer.status or 'no answer'} after {answer.seconds:.2f} s")
        elif answer.seconds > SLOWEST:
            bad.append(f"{answer.kind}: {answer.seconds:.2f} s")
    return bad


def table_of(answers: Sequence[Answer]) -> str:
    """Lay out what was answered, by kind of request, writes first."""
    kinds = sorted({answer.kind for answer in answers}, key=lambda kind: (kind.startswith("GET "), kind))
    rows = [_row(kind, [answer for answer in answers if answer.kind == kind]) for kind in kinds]
    rows += [
        _row(name, [answer for answer in answers if answer.is_write is writes])
        for name, writes in (("all writes", True), ("all reads", False))
    ]
    return table(("request", "answers", "statuses", "s, median", "s, p99", "s, most"), rows)


def _row(name: str, answers: Sequence[Answer]) -> tuple[str, ...]:
    seconds = [answer.seconds for answer in answers]
    statuses = sorted({answer.status for answer in answers})
    times = (percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds, default=0.0))
    return (f"`{name}`", str(len(answers)), " ".join(map(str, statuses)), *(f"{value:.3f}" for value in times))
