"""The pages inside Airflow: a read-only application that the plugin mounts at /matinee, for users who are logged in.

It serves what `tasks.reports.page_routes` finds below `MATINEE_HOME`, after asking Airflow's own authorization: whoever
may read a DAG may read its pipeline's pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from tasks.errors import MatineeError
from tasks.features import dbt_docs
from tasks.reports import page_routes
from tasks.reports.html import page
from tasks.reports.overview import index
from tasks.runs.attempts import attempt_of
from tasks.runs.run import Run
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path, pipelines_folder
from tasks.store.files import Home, default_home
from tasks.store.run_files import pipelines

CLOSED = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""Pages contain no script and fetch nothing. Only Airflow itself may frame them."""
HEADERS = {
    "Content-Security-Policy": CLOSED,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NOTHING_LEFT = (
    "This run has left nothing yet, or it is for no day, or its DAG is not one of matinee's. "
    "The run's note and the log of its first task say more."
)
READS_DAG = Depends(requires_access_dag("GET"))

app = FastAPI(title="matinee", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)


@app.middleware("http")
async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Give every answer the headers that keep it to itself; a page with a policy of its own keeps that."""
    answer = await call_next(request)
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


@app.exception_handler(StarletteHTTPException)
async def show_error(_: Request, error: StarletteHTTPException) -> Response:
    """Explain on a page what went wrong, where FastAPI would answer with JSON."""
    titles = {401: "Not logged in", 403: "Not allowed", 404: "Nothing here"}
    texts = {401: "Log in to Airflow, then come back to this page.", 403: "Your Airflow user may not read this DAG."}
    title = titles.get(error.status_code, "Something went wrong")
    return _note(title, texts.get(error.status_code, str(error.detail)), status=error.status_code)


@app.exception_handler(MatineeError)
async def show_damage(_: Request, error: MatineeError) -> Response:
    """Explain which file is damaged, and what to do."""
    return _note("Something went wrong", str(error), status=500)


def _note(title: str, text: str, *, status: int = 200, reload_seconds: int | None = None) -> HTMLResponse:
    return HTMLResponse(page("note", {"title": title, "text": text, "again": reload_seconds}), status_code=status)


def _home() -> Home:
    return default_home()


def _html_or_404(text: str | None, missing: str) -> HTMLResponse:
    if text is None:
        raise HTTPException(404, missing)
    return HTMLResponse(text)


@app.get("/")
def start(user: GetUserDep) -> Response:
    """Show the pipelines whose DAGs the user may read."""
    names = set(pipelines(_home()))
    allowed = get_auth_manager().filter_authorized_dag_ids(dag_ids=names, user=user)
    return HTMLResponse(index(_home(), sorted(allowed)))


@app.get("/run/{dag_id}/{run_id:path}", dependencies=[READS_DAG])
def run(request: Request, dag_id: str, run_id: str) -> Response:
    """Redirect from a DAG run to its report."""
    address = page_routes.address_of(_home(), dag_id, attempt_of(run_id))
    if address is None:
        raise HTTPException(404, NOTHING_LEFT)
    return RedirectResponse(f"{request.scope['root_path']}/{address}")


# Before the route of the other pages, which would take this address, too.
@app.get("/pages/{dag_id}/sql.html", dependencies=[READS_DAG])
def sql(dag_id: str) -> Response:
    """Show the pipeline's tables as dbt documents them; rendered in the background at the first call."""
    path = pipeline_path(dag_id)
    # Looked for among the files there are: the name comes out of an address.
    if path not in pipelines_folder().glob("*.yaml"):
        raise HTTPException(404, "There is no such pipeline.")
    document = dbt_docs.docs_or_begin(_home(), load_spec(path))
    if document is None:
        return _note("dbt reads the SQL …", "This page reloads by itself in a few seconds.", reload_seconds=3)
    policy = f"{dbt_docs.POLICY}; frame-ancestors 'self'"
    return FileResponse(document, media_type="text/html", headers={"Content-Security-Policy": policy})


@app.get("/pages/{dag_id}/{name:path}", dependencies=[READS_DAG])
def rendered(dag_id: str, name: str) -> Response:
    """Show a page that is rendered from what runs and versions have left."""
    return _html_or_404(
        page_routes.rendered_page(_home(), dag_id, name), "There is no such page, or nothing has run yet."
    )


@app.get("/runs/{dag_id}/{day}/{attempt}/report/report.html", dependencies=[READS_DAG])
def report(dag_id: str, day: str, attempt: str) -> Response:
    """Show the report of a run; while it has none, one of what it has left so far."""
    text = page_routes.report_of(_home(), dag_id, day, attempt, _load)
    return _html_or_404(text, NOTHING_LEFT)


def _load(pipeline: str, day: date, attempt: str) -> Run:
    return Run.create(pipeline, day, attempt)


@app.get("/{top}/{dag_id}/{path:path}", dependencies=[READS_DAG])
def file(top: str, dag_id: str, path: str) -> Response:
    """Serve a file of a run or a version."""
    target = page_routes.file_at(_home(), top, dag_id, path) if top in ("runs", "registry") else None
    if target is None or target.suffix not in page_routes.KINDS:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(target, media_type=page_routes.KINDS[target.suffix])
