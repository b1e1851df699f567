"""Commands around alerts: what was told and what waits, a test of every sink, another try, and the watch."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

app = typer.Typer(no_args_is_help=True, add_completion=False)
console = Console()


def _example(text: str) -> str:
    return f"Example: [bold]{text}[/bold]"


@app.command("list", epilog=_example("matinee alerts list --days 7"))
def list_(days: Annotated[int, typer.Option(min=1, help="Written in the last so many days.")] = 30) -> None:
    """List what was told, to how many sinks, and what still waits and why."""
    from tasks.alerts.outbox import Spool
    from tasks.alerts.sinks import sinks
    from tasks.store.files import default_home

    spool, to = Spool(default_home()), sinks()
    first = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    table = Table("written", "message", "sinks")
    for entry in spool.entries():
        if entry.message.at >= first:
            left = [sink.name for sink in to if sink.wants(entry.message.severity) and sink.id not in entry.delivered]
            told = f"{len(entry.delivered)} told"
            state = told if entry.settled or not left else f"{told}, {', '.join(left)} waiting"
            table.add_row(entry.message.at[:16].replace("T", " "), escape(entry.message.title), state)
    console.print(table if table.row_count else f"nothing was told in the last {days} days")
    for sink in to:
        doing = spool.sink(sink.id)
        if doing.failures:
            console.print(
                f"{sink.name}: {doing.failures} failure(s) in a row, next try {doing.not_before[:19]}: {doing.said}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


@app.command(epilog=_example("matinee alerts test"))
def test() -> None:
    """Send a test message to every sink, and say what each made of it; exits with 1 if one did not take it."""
    from tasks.alerts.outbox import Message
    from tasks.alerts.sinks import VARIABLE, send, sinks
    from tasks.errors import MatineeError

    to = sinks()
    if not to:
        raise MatineeError(
            f"{VARIABLE} names no sink; set it as docs/alerts.md says, in this shell and where Airflow runs"
        )
    failed = 0
    for sink in to:
        message = Message(
            pipeline="matinee",
            day=datetime.now(UTC).date().isoformat(),
            severity=sink.least,
            kind="test",
            faults={},
            title=f"matinee: a test of sink {sink.name}",
            body=f"Nothing is wrong. Alerts of severity {sink.least} and above arrive here.",
        )
        said = send(sink, message)
        failed += said is not None
        console.print(f"{sink.name} ({sink.least}): {said or 'taken'}", markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@app.command(epilog=_example("matinee alerts retry"))
def retry() -> None:
    """Try now to send what waits, also to sinks that are being left alone; exits with 1 if something still waits."""
    from tasks.alerts.outbox import Spool
    from tasks.alerts.sinks import deliver, sinks
    from tasks.store.files import default_home

    spool, to = Spool(default_home()), sinks()
    sent = deliver(spool, to, forced=True, seconds=600)
    left = len(spool.waiting())
    console.print(f"sent {sent}, waiting {left}")
    for sink in to:
        if spool.sink(sink.id).failures:
            console.print(f"{sink.name}: {spool.sink(sink.id).said}", markup=False, highlight=False, soft_wrap=True)
    if left:
        raise typer.Exit(1)


def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once and end, for cron.")] = False,
    every: Annotated[int, typer.Option(min=1, help="Seconds between two looks.")] = 30,
    airflow: Annotated[
        str | None, typer.Option(help="Address of Airflow's API server; the local stack's if absent.")
    ] = None,
) -> None:
    """Tell of runs that did not come and of a dead scheduler, and send what waits."""
    from tasks.alerts.watchdog import Watch
    from tasks.errors import MatineeError
    from tasks.store.files import default_home

    watcher = Watch(default_home(), url=airflow)
    while True:
        try:
            watcher.look(datetime.now(UTC))
        except (MatineeError, OSError) as error:  # a full disk, a lock: the next look may see better
            if once:
                raise
            console.print(
                f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {error}", markup=False, highlight=False, soft_wrap=True
            )
        if once:
            return
        time.sleep(every)
