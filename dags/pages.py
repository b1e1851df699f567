"""The pages inside Airflow: a read-only application that the plugin mounts at /matinee, for users who are logged in.

It serves what `tasks.reports.page_routes` finds below `MATINEE_HOME`, and asks Airflow's own authorization first: who
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
from tasks.features import dbt_docs as sql_docs
from tasks.reports import page_routes as page_files
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
"""Pages hold no script, and fetch nothing. Only Airflow itself may frame them."""
HEADERS = {
    "Content-Security-Policy": CLOSED,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
READS_DAG = Depends(requires_access_dag("GET"))

app = FastAPI(title="matinee", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)


@app.middleware("http")
async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Give every answer the headers that keep it to itself; a page with a policy of its own keeps that."""
    answer = await call_next(request)
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


@app.exception_handler(StarletteHTTPException)
async def say(_: Request, error: StarletteHTTPException) -> Response:
    """Say what went wrong on a page, not in JSON."""
    titles = {401: "Not logged in", 403: "Not allowed", 404: "Nothing here"}
    texts = {401: "Log in to Airflow, then come back to this page.", 403: "Your Airflow user may not read this DAG."}
    title = titles.get(error.status_code, "This went wrong")
    content = {"title": title, "text": texts.get(error.status_code, str(error.detail)), "again": None}
    return HTMLResponse(page("note", content), status_code=error.status_code)


@app.exception_handler(MatineeError)
async def say_damaged(_: Request, error: MatineeError) -> Response:
    """Say what of the files is damaged, and what to do."""
    return HTMLResponse(page("note", {"title": "This went wrong", "text": str(error), "again": None}), status_code=500)


def _home() -> Home:
    return default_home()


def _found(text: str | None, missing: str) -> HTMLResponse:
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
    """Lead from a DAG run to its report."""
    address = page_files.address_of(_home(), dag_id, attempt_of(run_id))
    if address is None:
        raise HTTPException(404, "This run has left nothing yet, or its DAG is none of matinee's.")
    return RedirectResponse(f"{request.scope['root_path']}/{address}")


@app.get("/pages/{dag_id}/sql.html", dependencies=[READS_DAG])
def sql(dag_id: str) -> Response:
    """Show the pipeline's tables as dbt documents them; made in the background at the first call."""
    path = pipeline_path(dag_id)
    if path not in pipelines_folder().glob("*.yaml"):
        raise HTTPException(404, "There is no such pipeline.")
    made = sql_docs.docs_or_begin(_home(), load_spec(path))
    if made is None:
        content = {"title": "dbt reads the SQL …", "text": "This page comes by itself in some seconds.", "again": 3}
        return HTMLResponse(page("note", content))
    policy = f"{sql_docs.POLICY}; frame-ancestors 'self'"
    return FileResponse(made, media_type="text/html", headers={"Content-Security-Policy": policy})


@app.get("/pages/{dag_id}/{name:path}", dependencies=[READS_DAG])
def made(dag_id: str, name: str) -> Response:
    """Show a page that is made of what runs and versions have left."""
    return _found(page_files.made_page(_home(), dag_id, name), "There is no such page, or nothing has run yet.")


@app.get("/runs/{dag_id}/{day}/{attempt}/report/report.html", dependencies=[READS_DAG])
def report(dag_id: str, day: str, attempt: str) -> Response:
    """Show the report of a run; while it has none, one of what it has left so far."""
    text = page_files.report_of(_home(), dag_id, day, attempt, _load)
    return _found(text, "This run has left nothing yet.")


def _load(pipeline: str, day: date, attempt: str) -> Run:
    return Run.create(pipeline, day, attempt)


@app.get("/{top}/{dag_id}/{rest:path}", dependencies=[READS_DAG])
def file(top: str, dag_id: str, rest: str) -> Response:
    """Hand out a file of a run or a version."""
    path = page_files.file_at(_home(), top, dag_id, rest) if top in ("runs", "registry") else None
    if path is None or path.suffix not in page_files.KINDS:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(path, media_type=page_files.KINDS[path.suffix])
