"""Commands around Airflow: start it, stop it, see how it is, and run days through it."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import typer

from tasks.cli.options import Data, Json, example, grouped_options, renamed
from tasks.cli.values import MOST_AT_ONCE, MOST_DAYS, calendar_day, whole_number
from tasks.operations.terminal import plain_console

app = typer.Typer(no_args_is_help=True, add_completion=False)
console = plain_console()

Port = Annotated[
    int | None, whole_number(1, 65535, meaning="Port of the UI on 127.0.0.1; the first free one from 8080.")
]


def _say(text: str) -> None:
    console.print(text, highlight=False)


@app.command(epilog=example("matinee stack up", "matinee stack up --pipeline online_retail --data ../online_retail"))
def up(
    port: Port = None,
    data: Data = None,
    pipeline: Annotated[str, typer.Option(help="Name in pipelines/: whose source reads the folder of --data.")] = (
        "streaming"
    ),
) -> None:
    """Start Airflow and leave it running."""
    from tasks.operations.local_airflow import stack
    from tasks.operations.local_airflow.data_folders import data_environment, require_same_data
    from tasks.operations.local_airflow.make_run import pipeline_file
    from tasks.spec.load import load_shape
    from tasks.spec.project import pipelines_folder, stack_command
    from tasks.store.files import default_home

    pipelines_folder()  # without it Airflow would start, and show no pipeline at all
    home, environment = default_home().root, {}
    if data is not None:
        spec = load_shape(pipeline_file(pipeline))
        environment = data_environment(spec, data)
        require_same_data(spec, home, data)
    running = stack.up(home, port, extra=environment, say=_say)
    _say(f"UI     {running.url}")
    _say(f"login  {running.login}")
    _say(f"stop it with: {stack_command('down')}")


@app.command(epilog=example("matinee stack down"))
def down() -> None:
    """Stop Airflow and everything it started."""
    from tasks.operations.local_airflow import stack
    from tasks.store.home import existing_home

    stopped = stack.down(existing_home().root, say=_say)
    _say("stopped" if stopped else "nothing was running")


@app.command(epilog=example("matinee stack status"))
def status(as_json: Json = False) -> None:
    """Print the state of Airflow's components; exits with 1 unless all are healthy."""
    from tasks.cli.answers import StackStatus, write_answer
    from tasks.operations.local_airflow import stack
    from tasks.spec.project import stack_command
    from tasks.store.home import existing_home

    health = stack.status(existing_home().root)
    if as_json:
        components = {name: str(state) for name, state in health.components.items()}
        healthy = health.port is not None and health.healthy
        write_answer(StackStatus(port=health.port, healthy=healthy, components=components))
        raise typer.Exit(0 if healthy else 1)
    if health.port is None:
        _say(f"Airflow is not running; start it with: {stack_command('up')}")
        raise typer.Exit(1)
    _say(f"http://127.0.0.1:{health.port}")
    for name, state in health.components.items():
        _say(f"  {name:<14} {state}")
    if not health.healthy:
        raise typer.Exit(1)


@app.command(
    epilog=example(
        "matinee stack airflow backfill create --dag-id streaming --from-date 2026-03-01 --to-date 2026-03-05"
    ),
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,  # so that --help reaches Airflow, too
)
def airflow(context: typer.Context) -> None:
    """Run Airflow's own command line against this state folder: everything after `airflow` is passed on."""
    import os

    from tasks.operations.local_airflow import stack
    from tasks.operations.local_airflow.environment import bin_dir, full_env
    from tasks.store.home import existing_home

    home = existing_home().root
    running = stack.find(home)
    program = str(bin_dir() / "airflow")
    # exec rather than a child: signals and the exit code are then Airflow's own.
    os.execve(program, [program, *context.args], full_env(home, running.port if running else 8080))  # noqa: S606


@dataclass(frozen=True)
class Days:
    """Options of `run` that say which days are run, and how many at once."""

    days: Annotated[
        int, whole_number(1, MOST_DAYS, meaning="Consecutive days; without --as-of, later calls run one.")
    ] = 3
    as_of: Annotated[date | None, calendar_day("--as-of", meaning="Last day; the next unpublished one if absent.")] = (
        None
    )
    parallel: Annotated[int, whole_number(1, MOST_AT_ONCE, meaning="Days of the backfill that run at once.")] = 1


@app.command(
    "run",
    epilog=example("matinee stack run streaming --days 3", "matinee stack run streaming --days 1 --as-of 2026-02-25"),
)
@grouped_options
def run(
    days: Days,
    pipeline: Annotated[str, typer.Argument(help="Name in pipelines/.")] = "streaming",
    data: Data = None,
    port: Port = None,
) -> None:
    """Land the history and run days through the real scheduler; exits with 1 if anything failed."""
    from tasks.operations.local_airflow.make_run import RunRequest, run_days
    from tasks.store.files import default_home

    for number in (signal.SIGTERM, signal.SIGHUP):  # like Ctrl-C: an Airflow started here must not stay behind
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    request = RunRequest(pipeline, days.days, days.as_of, data, port, days.parallel)
    if not run_days(request, default_home(), console):
        raise typer.Exit(1)


app.command("drive", hidden=True)(renamed("stack drive", "stack run", run))
