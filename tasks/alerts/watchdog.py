"""Faults that no run can notice itself: a run that is missing, a scheduler that died; and messages that still wait.

A poll is cheap, and several processes may poll at once. Clocks are fine here: nothing of this affects data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from tasks.alerts.airflow_health import SilentComponent, local_url, read_health
from tasks.alerts.alerts import is_green, no_green_run_rule, notify, notify_once
from tasks.alerts.faults import faults_of
from tasks.alerts.messages import plain_message
from tasks.alerts.outbox import Message, Outbox, notified_faults
from tasks.alerts.sinks import Send, configured_sinks, deliver
from tasks.errors import MatineeError, SpecError
from tasks.runs.missed_days import missed_days
from tasks.spec.load import load_shape
from tasks.spec.project import pipelines_folder
from tasks.spec.spec import Spec
from tasks.store import run_files
from tasks.store.files import Home, write_json
from tasks.store.records import Instant, Record, read_map

AIRFLOW = "airflow"
"""Stands for the pipeline in messages about Airflow."""
PATIENCE = timedelta(seconds=120)
"""A component that has been silent for longer is called silent."""
GRACE = timedelta(seconds=60)
"""A heartbeat may be old because the stack has just been started or the machine has slept: wait for the next one."""
DAYS_POLLED = 3
"""Days whose hour has passed that are checked: the watch may have been down itself."""
POLL_SECONDS = 120.0
POLLED = "polled"
"""Name of a file as old as the last poll; `docker-compose.yml` takes it for the watch's heartbeat."""


class Silence(Record):
    """Since when a component is silent, and when a poll noticed it first; UTC, in ISO form."""

    REMEDY = "the watch has removed it, and notices anew what is silent"

    since: Instant
    noticed: Instant

    def is_alarming(self, now: datetime) -> bool:
        """Whether it has lasted so long that people are notified."""
        since, noticed = datetime.fromisoformat(self.since), datetime.fromisoformat(self.noticed)
        return now - since >= PATIENCE and now - noticed >= GRACE

    @property
    def day(self) -> date:
        """Day on which it began."""
        return datetime.fromisoformat(self.since).date()

    def rule(self, component: str) -> str:
        """Name of the fault: with its time, so that a second silence on the same day is another fault."""
        return f"{component} silent since {self.since}"


@dataclass(frozen=True)
class Watch:
    """Polls for what no run can notice.

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

    def poll(self, now: datetime) -> None:
        """Write what is wrong to the outbox, then send what waits."""
        outbox = Outbox(self.home)
        outbox.prepare()
        try:
            for path in sorted(self.pipelines.glob("*.yaml")):
                self._poll_pipeline(path, now)
            self._poll_airflow(now)
        finally:  # what waits is of earlier polls and of runs, whatever is damaged here
            deliver(outbox, configured_sinks(), via=self.via, now=lambda: now, seconds=POLL_SECONDS)
        (outbox.root / POLLED).touch()

    def _poll_pipeline(self, path: Path, now: datetime) -> None:
        try:
            spec = load_shape(path)
        except SpecError as error:
            self._notify(path.stem, now.date(), "pipeline file", "the pipeline file cannot be read", str(error))
            return
        for span in missed_days(self.home, spec.name, spec.schedule):
            detail = f"the schedule passed over {span.text}, more than it catches up on (catch_up); run {span.command}"
            self._notify(spec.name, span.last, f"missed {span.text}", "days that were missed and are not run", detail)
        if spec.alerts.green_by is not None:
            for day in due_days(self.home, spec, spec.alerts.green_by, now):
                self._notify_if_missed(spec, day, deadline(day, spec.alerts.green_by))

    def _notify_if_missed(self, spec: Spec, day: date, by: datetime) -> None:
        if any(is_green(attempt.dir) for attempt in run_files.attempts(self.home, spec.name, day)):
            return
        before = (earlier for earlier in reversed(run_files.days(self.home, spec.name)) if earlier < day)
        last = next((earlier for earlier in before if _latest_is_green(self.home, spec.name, earlier)), "none")
        detail = (
            f"expected a green run of {day} by {by:%Y-%m-%d %H:%M} UTC; "
            f"{_state(self.home, spec.name, day)}; the last green day is {last}"
        )
        self._notify(spec.name, day, no_green_run_rule(day.isoformat()), "no green run by the declared hour", detail)

    def _poll_airflow(self, now: datetime) -> None:
        """Notify of components that stay silent and of those that are back; remembers what earlier polls saw."""
        url = self.url or local_url(self.home)
        path = self.home.root / "alerts" / "silent.json"
        before = self._read_silences(path, now)
        silent = read_health(url).silent(now, PATIENCE) if url else {}
        after = {name: before.get(name) or _begin(component, now) for name, component in silent.items()}
        if after != before:
            write_json(path, {name: silence.to_json() for name, silence in after.items()})
        for name, silence in after.items():
            if silence.is_alarming(now):
                self._notify(AIRFLOW, silence.day, silence.rule(name), f"the {name} is silent", silent[name].detail)
        back = {name: silence for name, silence in before.items() if name not in after}
        # Without an address (`make down`) nothing answers, so nothing is known to be back.
        if back and url:
            notify(self.home, AIRFLOW, lambda existing: _resolved(existing, back, now))

    def _read_silences(self, path: Path, now: datetime) -> dict[str, Silence]:
        """Read the silences that the last poll saw, by component."""
        try:
            return read_map(path, Silence) if path.exists() else {}
        except MatineeError as error:
            # It is the watch's own note: whoever waits for an alert must not wait until somebody mends it.
            path.unlink(missing_ok=True)
            self._notify(AIRFLOW, now.date(), path.name, "the watch's note of what is silent was damaged", str(error))
            return {}

    def _notify(self, pipeline: str, day: date, rule: str, summary: str, detail: str) -> None:
        runbook = "alerts-do-not-arrive.md" if pipeline == AIRFLOW else "no-green-run.md"
        message = plain_message(pipeline, day, rule, summary, {"": detail, "Runbook": f"docs/runbooks/{runbook}"})
        notify_once(self.home, message)


def due_days(home: Home, spec: Spec, green_by: str, now: datetime) -> list[date]:
    """List the last days that must have a green run by now, oldest first."""
    last = now.astimezone(UTC).date()
    while deadline(last, green_by) > now:
        last -= timedelta(days=1)
    ran = run_files.days(home, spec.name)
    first = max(spec.start, last - timedelta(days=DAYS_POLLED - 1))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    # Of a pipeline that is new here, maybe still paused, the days before its first run are not missing.
    return [day for day in days if (spec.end is None or day <= spec.end) and ran and ran[0] <= day]


def deadline(day: date, green_by: str) -> datetime:
    """The instant by which the run of a day must be green: that hour (HH:MM) of the next day, UTC."""
    return datetime.combine(day + timedelta(days=1), time.fromisoformat(green_by), UTC)


def _latest_is_green(home: Home, pipeline: str, day: date) -> bool:
    return any(is_green(attempt.dir) for attempt in run_files.attempts(home, pipeline, day)[:1])


def _state(home: Home, pipeline: str, day: date) -> str:
    attempts = run_files.attempts(home, pipeline, day)
    if not attempts:
        return "no run was started"
    worst = next(iter(faults_of(attempts[0].dir)), None)
    return f"the last attempt is not green: {worst.summary if worst else 'it is not finished'}"


def _begin(component: SilentComponent, now: datetime) -> Silence:
    moment = now.isoformat(timespec="seconds")
    return Silence(since=component.last_heartbeat or moment, noticed=moment)


def _resolved(existing: Sequence[Message], back: Mapping[str, Silence], now: datetime) -> Iterable[Message]:
    """Yield a message for each component that is back, if there was one that it is silent."""
    for name, silence in back.items():
        rule, day = silence.rule(name), silence.day.isoformat()
        if rule in notified_faults(existing, day):
            yield Message(
                pipeline=AIRFLOW,
                day=day,
                severity="critical",
                kind="resolved",
                faults={rule: "critical"},
                title=f"{AIRFLOW} {day}: resolved: the {name} is back",
                body=f"It was silent from {silence.since} to {now.isoformat(timespec='seconds')}.",
            )
