"""What Airflow says of its own components: the heartbeats on its health page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from tasks.spec.project import stack_command
from tasks.store.files import Home
from tasks.store.records import Record

COMPONENTS = ("scheduler", "dag_processor")
"""Components with a heartbeat that every stack has; the triggerer and edge workers are optional."""


class StackState(Record):
    """`airflow/stack.json`: where the stack that was started last listens."""

    REMEDY = f"run `{stack_command('down')}`, then `{stack_command('up')}`"

    port: Annotated[int, Field(ge=1, le=65535, strict=True)]


@dataclass(frozen=True)
class SilentComponent:
    """A component that does not answer: its last heartbeat (UTC, ISO form), if one is known, and a sentence."""

    last_heartbeat: str | None
    detail: str


@dataclass(frozen=True)
class Health:
    """What Airflow's API server answered.

    Attributes:
        answers: whether it answered at all.
        database: whether it reaches its database.
        heartbeats: the last heartbeat of each component, in ISO form; None if it never had one.
    """

    answers: bool
    database: bool = False
    heartbeats: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> Health:
        """Read the JSON of `/api/v2/monitor/health`."""
        parts = {name: answer.get(name) or {} for name in ("metadatabase", *COMPONENTS)}
        return cls(
            answers=True,
            database=parts["metadatabase"].get("status") == "healthy",
            heartbeats={name: parts[name].get(f"latest_{name}_heartbeat") for name in COMPONENTS},
        )

    def silent(self, now: datetime, patience: timedelta) -> dict[str, SilentComponent]:
        """Name the components that do not answer, or whose last heartbeat is older than `patience`."""
        if not self.answers:
            detail = "Airflow's API does not answer, so the state of its scheduler is unknown"
            return {"api-server": SilentComponent(None, detail)}
        silent: dict[str, SilentComponent] = {}
        if not self.database:
            silent["metadatabase"] = SilentComponent(None, "Airflow cannot reach its database")
        for name, last in self.heartbeats.items():
            if last is None or now - datetime.fromisoformat(last) > patience:
                detail = f"its last heartbeat was at {last}" if last else "it never had a heartbeat"
                silent[name.replace("_", "-")] = SilentComponent(last, detail)
        return silent


def read_health(url: str) -> Health:
    """Ask Airflow's API server; a server that fails to answer within 10 s, or answers with an error, is silent."""
    import httpx

    try:
        # trust_env=False: a proxy named in the environment must not answer for a server of this machine.
        answer = httpx.get(f"{url.rstrip('/')}/api/v2/monitor/health", timeout=10, trust_env=False)
        return Health.parse(dict(answer.json())) if answer.status_code == 200 else Health(answers=False)
    except (httpx.HTTPError, ValueError, TypeError, AttributeError):
        return Health(answers=False)


def local_url(home: Home) -> str | None:
    """Address of the stack that `make up` started here; None if there is none, or it was ended by `make down`.

    Raises:
        MatineeError: the file that says so is damaged.
    """
    state = home.root / "airflow" / "stack.json"
    return f"http://127.0.0.1:{StackState.read(state).port}" if state.exists() else None
