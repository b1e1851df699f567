"""The command line: each step alone or all together, without a scheduler, by the functions that Airflow calls."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from tasks.cli import alerts, days, learning, pages, quarantine, stack, upkeep
from tasks.cli.check import check, skew
from tasks.cli.curve import curve
from tasks.cli.init import init
from tasks.cli.inspect import inspect
from tasks.cli.options import AsOf, Attempt, Data, Json, Pipeline, example, open_run
from tasks.cli.prove import prove
from tasks.cli.serve import serve
from tasks.cli.tune import tune
from tasks.cli.values import folder_name, user_id, whole_number
from tasks.cli.version import version_of_matinee
from tasks.errors import GateFailed, MatineeError, SpecError, WrongArgument, quoted, visible
from tasks.operations.process import quieten_libraries
from tasks.operations.terminal import one_line_rows, plain_console, refuse_hidden_characters, tables_in
from tasks.runs.failures import call_step, explained
from tasks.runs.narration import log
from tasks.runs.step_log import VARIABLE, log_everything, log_to_stderr
from tasks.runs.steps import BY_NAME
from tasks.spec.project import take_environment
from tasks.store.settings import unknown

# Commands import what they run themselves: dbt, Great Expectations and LightGBM take seconds to load, and --help
# needs none of them.
EXIT_CODES = "Exit codes: 0 done · 1 failed · 2 wrong usage or pipeline file · 3 a gate failed."

app = typer.Typer(
    name="matinee",
    help="One YAML file per recommender becomes a daily pipeline, free of time travel.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(quarantine.app, name="quarantine", help="Rejected rows: list them, show them, bring them back.")
app.add_typer(stack.app, name="stack", help="Airflow on this machine.")
app.add_typer(alerts.app, name="alerts", help="Alerts: what was sent where, what waits, and a test.")
console = plain_console()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"matinee {version_of_matinee()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of matinee itself; `help` of the application is its description."""


errors = plain_console(stderr=True)


def _run_step(name: str, run: Any, *args: Any) -> None:
    from tasks.cli.render.result import render_result

    log_everything()
    console.print(render_result(call_step(run, name, BY_NAME[name].load(), *args)))


def _add_step(name: str, sentence: str) -> None:
    """Add the command of a step that takes a run and nothing else; commands are listed in the order of these calls."""

    def command(pipeline: Pipeline, as_of: AsOf, attempt: Attempt = "cli") -> None:
        _run_step(name, open_run(pipeline, as_of, attempt))

    app.command(name, help=sentence, epilog=example(f"matinee {name} streaming --as-of 2026-02-25"))(command)


app.command(epilog=example("matinee init my_shop --from ../my_data", "matinee init my_shop --from sales.csv --yes"))(
    init
)


@app.command(epilog=example("matinee validate streaming"))
def validate(
    pipeline: Pipeline,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the SQL, which takes some seconds.")] = False,
    as_json: Json = False,
) -> None:
    """Check a pipeline file: its shape, every name in it, the project's suites, its staging, and its comparisons.

    The staging is built on an empty landing. What data there is says whether lists can be compared as declared.
    """
    from tasks.checks.suites import check_own_suites
    from tasks.cli.answers import Validated, write_answer
    from tasks.features.empty_landing import check_staging
    from tasks.operations.comparisons import comparison_notices
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path
    from tasks.spec.windows import first_as_of, why_first
    from tasks.store.files import default_home

    spec = load_spec(pipeline_path(pipeline))
    check_own_suites()
    if not quick:
        with errors.status("dbt reads the staging …"):
            check_staging(spec, default_home())
    notices = tuple(comparison_notices(spec, default_home()))
    if as_json:
        first = first_as_of(spec)
        write_answer(Validated(pipeline=spec.name, description=spec.description, first_as_of=first, notices=notices))
        return
    console.print(Text.assemble((f"{spec.name} is valid", "green"), f": {visible(spec.description)}"))
    console.print(f"First day that can be run: {first_as_of(spec)} ({why_first(spec)})", soft_wrap=True)
    for notice in notices:
        console.print(Text.assemble(("Note: ", "yellow"), notice), soft_wrap=True)


@app.command(epilog=example("matinee land online_retail --data ../online_retail --as-of 2011-10-31"))
def land(pipeline: Pipeline, as_of: AsOf, attempt: Attempt = "cli", data: Data = None) -> None:
    """Copy the source's days into immutable partitions."""
    _run_step("land", open_run(pipeline, as_of, attempt, data))


_add_step("build", "Build the features of the days that were not built from the current landing.")
_add_step("retrieve", "Fit the retrieval models of each cut and write candidates and scores.")


@app.command(epilog=example("matinee labels streaming --as-of 2026-02-25 --examples 5"))
def labels(
    pipeline: Pipeline,
    as_of: AsOf,
    examples: Annotated[int, whole_number(0, 100, meaning="Pairs to show of each rule.")] = 3,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a rule decides nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Show what each rule of the label decides: counts, pairs, rules that never fire."""
    from tasks.cli.answers import labeled, write_answer
    from tasks.cli.render.labels import render_labels
    from tasks.examples.label_report import label_report
    from tasks.runs.run import Run
    from tasks.store.home import existing_home

    existing_home()
    report = label_report(Run.create(pipeline, as_of, "cli"), examples)
    if as_json:
        write_answer(labeled(report))
    else:
        console.print(render_labels(report), highlight=False)
    if strict and report.idle:
        raise typer.Exit(1)


_add_step("sample", "Draw the stratified sample of groups and join examples with features and labels.")


@app.command(epilog=example("matinee train streaming --as-of 2026-02-25 --population BR"))
def train(
    pipeline: Pipeline,
    as_of: AsOf,
    attempt: Attempt = "cli",
    population: Annotated[str | None, typer.Option(help="One population; all if absent.")] = None,
) -> None:
    """Train each population's model."""
    from tasks.training.train import populations

    run = open_run(pipeline, as_of, attempt)
    known = populations(run)
    if population is not None and population not in known:
        raise typer.BadParameter(f"--population: unknown {quoted(population)}; expected one of {', '.join(known)}")
    for name in known if population is None else [population]:
        _run_step("train", run, name)


app.command(epilog=example("matinee tune streaming --as-of 2026-02-25 --workers 2"))(tune)
app.command(epilog=example("matinee curve streaming --as-of 2026-02-25 --seeds 5"))(curve)
_add_step("evaluate", "Measure the model and its baselines on the test window.")
_add_step("gate", "Evaluate the gates: may the model be published? Exits with 3 if not.")
_add_step("publish", "Write the version's descriptor and artifacts, and move the alias.")
_add_step("monitor", "Compare the test examples with their reference: features, labels, scores.")
_add_step("report", "Write the run's report, one HTML page.")


@app.command(epilog=example("matinee run streaming --as-of 2026-02-25"))
def run(
    pipeline: Pipeline,
    as_of: AsOf,
    attempt: Attempt = "cli",
    data: Data = None,
    again: Annotated[bool, typer.Option("--again", help="Also draw and train what is done already.")] = False,
) -> None:
    """Run every step for one day, in order, without Airflow.

    After a failure the same command goes on where it stopped: what it drew and trained from the same is kept.
    """
    from tasks.operations.run_all import run_all

    log_everything()
    run_all(open_run(pipeline, as_of, attempt, data), console, resume=not again)


app.command(
    epilog=example(
        "matinee check streaming --as-of 2026-02-25",
        "matinee check streaming --as-of 2026-02-25 --what features --failed",
    )
)(check)
app.command(epilog=example("matinee plan streaming --as-of 2026-02-25"))(days.plan)
app.command(
    epilog=example(
        "matinee backfill streaming --from 2026-02-25 --to 2026-03-26 --dry-run",
        "matinee backfill streaming --from 2026-02-25 --to 2026-03-26 --parallel 2",
    )
)(days.backfill)
app.command(epilog=example("matinee watch --once"))(alerts.watch)
app.command(epilog=example("matinee overview streaming --days 365"))(pages.overview)
app.command(epilog=example("matinee sql-docs streaming"))(pages.sql_docs)
app.command(epilog=example("matinee verify", "matinee verify streaming --json"))(upkeep.verify)
app.command(epilog=example("matinee gc --dry-run", "matinee gc --hours 72"))(upkeep.gc)
app.command(epilog=example("matinee prove streaming --as-of 2026-02-25"))(prove)
app.command(epilog=example("matinee skew streaming --as-of 2026-02-26"))(skew)
app.command(
    epilog=example(
        "matinee ablate streaming --as-of 2026-02-25",
        "matinee ablate streaming --as-of 2026-02-25 --learner lightgbm:objective=binary",
    )
)(learning.ablate)
app.command(epilog=example("matinee noise streaming --as-of 2026-02-25 --seeds 5"))(learning.noise)


@app.command(epilog=example("matinee rank streaming --user u000017 -k 10"))
def rank(
    pipeline: Pipeline,
    user: Annotated[str, user_id(meaning="User id.")],
    k: Annotated[int, whole_number(1, 1000, "-k", meaning="Length of the list.")] = 10,
    version: Annotated[str | None, folder_name(meaning="A version; the champion if absent.")] = None,
    as_json: Json = False,
) -> None:
    """Print the list that the published version gives a user, with scores and names."""
    from tasks.cli.answers import write_answer
    from tasks.cli.render.list import ranked, render_list
    from tasks.cli.render.result import why_short
    from tasks.publishing.rank import rank_user
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path

    user_list = rank_user(pipeline, user, k, version)
    if as_json:
        write_answer(ranked(user_list))
        return
    laid_out = render_list(user_list)
    console.print(one_line_rows(laid_out, console.width))
    if short := why_short(load_spec(pipeline_path(pipeline)), sum(table.row_count for table in tables_in(laid_out)), k):
        console.print(Text(short, "yellow"), soft_wrap=True)


app.command(epilog=example("matinee inspect streaming", "matinee inspect streaming --user u000017 -k 3"))(inspect)
app.command(epilog=example("matinee serve streaming", "matinee serve streaming --port 8091 --log-features 0.01"))(serve)


@app.command(epilog=example("matinee docs --check"))
def docs(
    only_check: Annotated[bool, typer.Option("--check", help="Only say whether the pages are current.")] = False,
) -> None:
    """Write the generated reference pages in docs/."""
    from tasks.cli.reference_docs import write_pages

    stale = write_pages(check=only_check)
    if only_check and stale:
        raise MatineeError(f"out of date: {', '.join(map(str, stale))}; run `matinee docs` and commit the result")
    console.print("current" if not stale else f"written: {', '.join(map(str, stale))}")


@app.command(epilog=example("matinee download online_retail --to ../online_retail"))
def download(
    dataset: Annotated[str, typer.Argument(help="Name of a data set with an official home.")],
    to: Annotated[Path, typer.Option(help="Folder for the files.")],
) -> None:
    """Fetch a data set from its official home, with resume and checksum."""
    from tasks.sources.download import download as download_dataset

    download_dataset(dataset, to)
    console.print(f"{dataset} is in {to}")


def _show(error: Exception, explanation: MatineeError) -> None:
    """Show why a command ends: to people as text, to a program that reads JSON as a line of it, once."""
    if os.environ.get(VARIABLE) == "json":
        if not getattr(error, "logged", False):
            log.error("%s", explanation, extra={"error": type(explanation).__name__})
        return
    errors.print(Text(f"matinee: {type(explanation).__name__}", style="bold red"))
    # Messages quote paths and SQL: no colors, and no line breaks inside of what people copy.
    errors.print(str(explanation), highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; bad input ends in one clear message and an exit code, never in a traceback."""
    quieten_libraries()
    warnings.simplefilter("ignore", DeprecationWarning)
    try:
        take_environment()
        log_to_stderr(os.environ.get(VARIABLE) or None)
        refuse_hidden_characters(sys.argv[1:])
        for line in unknown(os.environ):
            errors.print(f"matinee: {line}", style="yellow", highlight=False, soft_wrap=True)
        # The name is given because `python -m tasks.cli` would otherwise call itself that in every usage line.
        app(prog_name="matinee")
    except Exception as error:
        explanation = explained(error)
        if explanation is None:  # a bug: its traceback is what helps
            raise
        _show(error, explanation)
        # 2 is also how click ends on wrong usage.
        sys.exit(2 if isinstance(error, SpecError | WrongArgument) else 3 if isinstance(error, GateFailed) else 1)
