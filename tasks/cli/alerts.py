"""Commands around alerts: what was sent and what waits, a test of every sink, another try, and the watch."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tasks.cli.options import Json, example
from tasks.cli.values import MOST_DAYS, MOST_SECONDS, whole_number
from tasks.errors import count_of
from tasks.operations.terminal import plain_console

if TYPE_CHECKING:
    from tasks.alerts.outbox import Outbox
    from tasks.store.files import Home

app = typer.Typer(no_args_is_help=True, add_completion=False)
console = plain_console()


@app.command("list", epilog=example("matinee alerts list --days 7"))
def list_(
    days: Annotated[int, whole_number(1, MOST_DAYS, meaning="Show alerts of the last so many days.")] = 30,
    as_json: Json = False,
) -> None:
    """List the alerts: to how many sinks each was sent, and which sinks it waits for and why."""
    from tasks.alerts.outbox import Outbox
    from tasks.alerts.sinks import configured_sinks
    from tasks.cli.answers import Alert, Alerts, write_answer
    from tasks.store.home import existing_home

    outbox, sinks = Outbox(existing_home()), configured_sinks()
    first = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    found = []
    for entry in outbox.entries():
        message = entry.message
        # Times in UTC and ISO form sort as texts.
        if message.at >= first:
            missing = [sink.name for sink in sinks if sink.wants(message.severity) and sink.id not in entry.delivered]
            # A message that no sink misses may still wait: to be settled, by whichever process delivers next.
            waiting = () if outbox.is_settled(message) else tuple(missing)
            about = {"at": message.at, "title": message.title, "severity": message.severity}
            found.append(Alert(**about, delivered=len(entry.delivered), waiting=waiting))
    if as_json:
        write_answer(Alerts(days=days, alerts=tuple(found)))
        return
    table = Table("written", "message", "sinks")
    for alert in found:
        sent = f"sent to {alert.delivered}"
        status = f"{sent}, {', '.join(alert.waiting)} waiting" if alert.waiting else sent
        table.add_row(alert.at[:16].replace("T", " "), alert.title, status)
    console.print(table if table.row_count else f"no alerts in the last {days} days")
    for sink in sinks:
        state = outbox.sink_state(sink.id)
        if state.failures:
            failures = count_of(state.failures, "failure")
            _print(f"{sink.name}: {failures} in a row, next try {state.not_before[:19]}: {state.said}")


def _print(text: str) -> None:
    # Errors of sinks may contain paths: no colors, no line breaks of our own.
    console.print(text, highlight=False, soft_wrap=True)


@app.command(epilog=example("matinee alerts test"))
def test() -> None:
    """Send a test message to every sink and print what each answered; exits with 1 if one did not take it."""
    from tasks.alerts.outbox import Message
    from tasks.alerts.sinks import VARIABLE, configured_sinks, send
    from tasks.errors import MatineeError

    sinks = configured_sinks()
    if not sinks:
        raise MatineeError(
            f"{VARIABLE} names no sink; set it as in docs/alerts.md, in this shell and where Airflow runs"
        )
    failed = 0
    for sink in sinks:
        message = Message(
            pipeline="matinee",
            day=datetime.now(UTC).date().isoformat(),
            severity=sink.least,
            kind="test",
            faults={},
            title=f"matinee: a test of sink {sink.name}",
            body=f"Nothing is wrong. Alerts of severity {sink.least} and above arrive here.",
        )
        error = send(sink, message)
        failed += error is not None
        _print(f"{sink.name} ({sink.least}): {error or 'ok'}")
    if failed:
        raise typer.Exit(1)


@app.command(epilog=example("matinee alerts retry"))
def retry() -> None:
    """Send what waits now, also to sinks that are paused after a failure; exits with 1 if something still waits."""
    from tasks.alerts.outbox import Outbox
    from tasks.alerts.sinks import configured_sinks, deliver
    from tasks.store.home import existing_home

    outbox, sinks = Outbox(existing_home()), configured_sinks()
    # Longer than a run may take for it: whoever calls this waits for the messages alone.
    sent = deliver(outbox, sinks, force=True, seconds=600)
    waiting = len(outbox.waiting())
    console.print(f"sent {sent}, waiting {waiting}")
    for sink in sinks:
        state = outbox.sink_state(sink.id)
        if state.failures:
            _print(f"{sink.name}: {state.said}")
    if waiting:
        raise typer.Exit(1)


def _wait(outbox: Outbox, seconds: int) -> None:
    """Wait until the next poll is due, or a message is written: tasks hand their alerts over and don't send them."""
    before = outbox.changed_at()
    for _ in range(seconds):
        time.sleep(1)
        if outbox.changed_at() != before:
            return


def _maintain_airflow(home: Home, url: str | None, known: frozenset[str]) -> frozenset[str]:
    """Write notes on failed runs, and see to it that no task waits for ever.

    One would in a pool that does not exist, as that of a pipeline file that came after Airflow's start; or for workers
    that are not reached any more.

    Args:
        home: the state folder.
        url: address of Airflow's API server; None: none runs.
        known: pools that exist.

    Returns:
        The pools that exist now.
    """
    from tasks.errors import StackError
    from tasks.operations.local_airflow.airflow_api import Airflow
    from tasks.operations.local_airflow.deaf_workers import end_deaf_scheduler
    from tasks.operations.local_airflow.run_notes import write_notes
    from tasks.operations.pools import pools

    wanted = frozenset(pools())
    if url is None:
        return known
    api = Airflow(home.root, url)
    try:
        if not wanted <= known:
            api.ensure_pools()
        write_notes(api, home)
        end_deaf_scheduler(api, home.root, datetime.now(UTC))
    except StackError:  # it is starting, or being restarted: the next poll may find it
        return known
    finally:
        api.close()
    return wanted


def watch(
    once: Annotated[bool, typer.Option("--once", help="Poll once and end, for cron.")] = False,
    every: Annotated[int, whole_number(1, MOST_SECONDS, meaning="Seconds between two polls.")] = 30,
    airflow: Annotated[
        str | None, typer.Option(help="Address of Airflow's API server; the local stack's if absent.")
    ] = None,
) -> None:
    """Notify of missing runs and of a dead scheduler, and send what waits."""
    from tasks.alerts.airflow_health import local_url
    from tasks.alerts.outbox import Outbox
    from tasks.alerts.watchdog import Watch
    from tasks.errors import MatineeError
    from tasks.operations.local_airflow.processes import end_idle_orphans
    from tasks.store.home import existing_home

    home, known = existing_home(), frozenset[str]()
    watcher = Watch(home, url=airflow)
    while True:
        try:
            watcher.poll(datetime.now(UTC))
            known = _maintain_airflow(home, airflow or local_url(home), known)
            end_idle_orphans(home.root)
        except (MatineeError, OSError) as error:  # a full disk, a lock: the next poll may succeed
            if once:
                raise
            _print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {error}")
        if once:
            return
        _wait(Outbox(home), every)
