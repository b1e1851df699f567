"""Airflow loads this file in each of its processes: the timetable, a listener, views, a link on tasks, and pages.

The pages are imported when it is first asked for something, which only happens in the API server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

from dags import marked_runs
from dags.stopped_tasks import explain_stopped_tasks
from dags.timetable import DayTimetable
from tasks.spec.project import take_environment

if TYPE_CHECKING:
    from airflow.models.taskinstancekey import TaskInstanceKey

Scope = MutableMapping[str, Any]
REPORT = "matinee-report"
BASE = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='{}' "
    "d='M1 3h14v10H1zm1.5 1.5v7h11v-7zm1.5 5.5 2.5-3 2 2 2-3 2 4z'/%3E%3C/svg%3E"
)


class Pages:
    """The application of `dags.pages`, imported at the first request."""

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Scope]], send: Callable[[Scope], Awaitable[None]]
    ) -> None:
        """Answer a request."""
        from dags.pages import app

        await app(scope, receive, send)


class RunReport(BaseOperatorLink):
    """A button on every task: the report of its run, inside Airflow."""

    name = "Run report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Address of the run's Report tab."""
        path = f"dags/{quote(ti_key.dag_id, safe='')}/runs/{quote(ti_key.run_id, safe='')}/plugin/{REPORT}"
        return f"{BASE}/{path}"


def _view(name: str, route: str, destination: str, href: str) -> dict[str, str]:
    icons = {"icon": ICON.format("%23444"), "icon_dark_mode": ICON.format("%23ddd")}
    return {"name": name, "url_route": route, "destination": destination, "href": f"{BASE}/matinee/{href}", **icons}


take_environment()
explain_stopped_tasks()


class MatineePlugin(AirflowPlugin):
    """Adds the tabs, the link and the application to Airflow."""

    name = "matinee"
    fastapi_apps: ClassVar = [{"app": Pages(), "url_prefix": "/matinee", "name": "matinee"}]
    external_views: ClassVar = [
        _view("Report", REPORT, "dag_run", "run/{DAG_ID}/{RUN_ID}"),
        _view("Days", "matinee-days", "dag", "pages/{DAG_ID}/overview.html"),
        _view("Champion", "matinee-champion", "dag", "pages/{DAG_ID}/champion.html"),
        _view("matinee", "matinee", "nav", "") | {"nav_top_level": True},
    ]
    timetables: ClassVar = [DayTimetable]
    listeners: ClassVar = [marked_runs]
    global_operator_extra_links: ClassVar = [RunReport()]
