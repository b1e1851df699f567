"""What nobody inside a run can tell: a run that did not come, a scheduler that died, messages that still wait.

A look is cheap and may be taken by several processes at once. Clocks are fine here: nothing of this affects data.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from tasks.alerts.alerts import is_green, no_green_run, notify
from tasks.alerts.faults import faults_of
from tasks.alerts.messages import body, clean
from tasks.alerts.outbox import Message, Spool, known
from tasks.alerts.sinks import Send, deliver, sinks
from tasks.errors import SpecError
from tasks.spec.load import load_shape
from tasks.spec.project import pipelines_folder
from tasks.spec.spec import Spec
from tasks.store import run_files
from tasks.store.files import Home, read_json, write_json

AIRFLOW = "airflow"
"""In place of a pipeline's name."""
PATIENCE = timedelta(seconds=120)
"""A component that is silent for longer is called dead."""
GRACE = timedelta(seconds=60)
"""An old heartbeat may be that of a stack that has just been started, or of a machine that has slept."""
LOOKED_BACK = 3
"""Days whose hour has passed that are looked at: the watch may have been down itself."""
LOOK_SECONDS = 120.0
LOOKED = "looked"
"""A file as old as the last look."""


@dataclass(frozen=True)
class Watch:
    """What is looked at.

    Attributes:
        home: the state folder.
        pipelines: folder of the pipeline files.
        url: address of Airflow's API server; None: that of the local stack, if one was started.
        via: sends a message, in place of Apprise.
    """

    home: Home
    pipelines: Path = field(default_factory=pipelines_folder)
    url: str | None = None
    via: Send | None = None

    def look(self, now: datetime) -> None:
        """Write what is wrong to the spool, then send what waits."""
        spool = Spool(self.home)
        spool.prepare()
        for path in sorted(self.pipelines.glob("*.yaml")):
            self._pipeline(path, now)
        self._airflow(now)
        deliver(spool, sinks(), via=self.via, now=lambda: now, seconds=LOOK_SECONDS)
        (spool.root / LOOKED).touch()

    def _pipeline(self, path: Path, now: datetime) -> None:
        try:
            spec = load_shape(path)
        except SpecError as error:
            self._tell(path.stem, now.date(), "pipeline file", "the pipeline file cannot be read", str(error))
            return
        if spec.alerts.green_by is not None:
            for day in due_days(self.home, spec, spec.alerts.green_by, now):
                self._missed(spec, day, deadline(day, spec.alerts.green_by))

    def _missed(self, spec: Spec, day: date, by: datetime) -> None:
        if any(is_green(attempt.dir) for attempt in run_files.attempts(self.home, spec.name, day)):
            return
        before = (earlier for earlier in reversed(run_files.days(self.home, spec.name)) if earlier < day)
        last = next((earlier for earlier in before if _green(self.home, spec.name, earlier)), "none")
        said = (
            f"expected a green run of {day} by {by:%Y-%m-%d %H:%M} UTC; "
            f"{_state(self.home, spec.name, day)}; the last green day is {last}"
        )
        self._tell(spec.name, day, no_green_run(day.isoformat()), "no green run by the declared hour", said)

    def _airflow(self, now: datetime) -> None:
        """Tell of components that are silent for long; what an earlier look found is remembered."""
        url = self.url or local_url(self.home)
        path = self.home.root / "alerts" / "silent.json"
        before: dict[str, dict[str, str]] = read_json(path) if path.exists() else {}
        ill = silent(health(url), now) if url else {}
        moment = now.isoformat(timespec="seconds")
        after = {
            name: before.get(name, {"since": first or moment, "noticed": moment}) for name, (first, _) in ill.items()
        }
        if after != before:
            write_json(path, after)
        for name, seen in after.items():
            since, noticed = (datetime.fromisoformat(seen[key]) for key in ("since", "noticed"))
            if now - since >= PATIENCE and now - noticed >= GRACE:
                self._tell(AIRFLOW, since.date(), _rule(name, seen), f"the {name} is silent", ill[name][1])
        back = {name: seen for name, seen in before.items() if name not in after}
        if back and url:
            notify(self.home, AIRFLOW, lambda there: _back(there, back, now))

    def _tell(self, pipeline: str, day: date, rule: str, brief: str, said: str) -> None:
        runbook = "alerts-do-not-arrive.md" if pipeline == AIRFLOW else "no-green-run.md"
        message = Message(
            pipeline=pipeline,
            day=day.isoformat(),
            severity="critical",
            kind="fault",
            faults={rule: "critical"},
            title=clean(f"{pipeline} {day}: critical: {brief}", 120),
            body=body({"": said, "Airflow": os.environ.get("MATINEE_URL", ""), "Runbook": f"docs/runbooks/{runbook}"}),
        )
        notify(self.home, pipeline, lambda there: [] if rule in known(there, day.isoformat()) else [message])


def due_days(home: Home, spec: Spec, green_by: str, now: datetime) -> list[date]:
    """Return the last days that must have a green run by now, oldest first."""
    last = now.astimezone(UTC).date()
    while deadline(last, green_by) > now:
        last -= timedelta(days=1)
    ran = run_files.days(home, spec.name)
    first = max(spec.start, last - timedelta(days=LOOKED_BACK - 1))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    # Of a pipeline that is new here, the days before its first run are no loss.
    return [day for day in days if (spec.end is None or day <= spec.end) and (day == last or (ran and ran[0] <= day))]


def deadline(day: date, green_by: str) -> datetime:
    """Return the instant by which the run of a day must be green: that hour of the next day, UTC."""
    return datetime.combine(day + timedelta(days=1), time.fromisoformat(green_by), UTC)


def _green(home: Home, pipeline: str, day: date) -> bool:
    return any(is_green(attempt.dir) for attempt in run_files.attempts(home, pipeline, day)[:1])


def _state(home: Home, pipeline: str, day: date) -> str:
    attempts = run_files.attempts(home, pipeline, day)
    if not attempts:
        return "none was begun"
    worst = next(iter(faults_of(attempts[0].dir)), None)
    return f"the last attempt is not green: {worst.brief if worst else 'it is not finished'}"


def local_url(home: Home) -> str | None:
    """Return the address of the stack that `make up` started here and that nobody has ended."""
    state = home.root / "airflow" / "stack.json"
    return f"http://127.0.0.1:{int(read_json(state)['port'])}" if state.exists() else None


def health(url: str) -> Mapping[str, Any]:
    """Return what Airflow says of its components; nothing if it does not answer."""
    import httpx

    try:
        # trust_env=False: a proxy named in the environment has no business here.
        answer = httpx.get(f"{url.rstrip('/')}/api/v2/monitor/health", timeout=10, trust_env=False)
        return dict(answer.json()) if answer.status_code == 200 else {}
    except (httpx.HTTPError, ValueError, TypeError):
        return {}


def silent(found: Mapping[str, Any], now: datetime) -> dict[str, tuple[str | None, str]]:
    """Return the components that do not answer or whose heartbeat is old: since when, if that is known, and words."""
    if not found:
        return {"api-server": (None, "Airflow's API does not answer, so nothing is known of its scheduler")}
    ill: dict[str, tuple[str | None, str]] = {}
    if found.get("metadatabase", {}).get("status") != "healthy":
        ill["metadatabase"] = (None, "Airflow cannot reach its database")
    for name in ("scheduler", "dag_processor"):
        last = found.get(name, {}).get(f"latest_{name}_heartbeat")
        if last is None or now - datetime.fromisoformat(last) > PATIENCE:
            ill[name.replace("_", "-")] = (last, f"its last heartbeat was at {last or 'no time'}")
    return ill


def _rule(name: str, seen: Mapping[str, str]) -> str:
    return f"{name} silent since {seen['since']}"


def _back(there: Sequence[Message], names: Mapping[str, Mapping[str, str]], now: datetime) -> Iterable[Message]:
    """Yield a message for each component that answers again, if anybody was told that it did not."""
    for name, seen in names.items():
        rule, day = _rule(name, seen), datetime.fromisoformat(seen["since"]).date().isoformat()
        if rule in known(there, day):
            yield Message(
                pipeline=AIRFLOW,
                day=day,
                severity="critical",
                kind="resolved",
                faults={rule: "critical"},
                title=f"{AIRFLOW} {day}: resolved: the {name} is back",
                body=f"It was silent from {seen['since']} to {now.isoformat(timespec='seconds')}.",
            )
