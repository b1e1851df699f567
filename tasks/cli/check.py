"""The commands that check a day: every line of defense that has something to check, and what serving logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.cli.days import console
from tasks.cli.options import AsOf, Json, Pipeline
from tasks.cli.values import folder_name
from tasks.errors import CheckFailed, MatineeError, quoted, visible
from tasks.runs.steps import CHECKS

if TYPE_CHECKING:
    from tasks.cli.answers import CheckedStep
    from tasks.monitoring.skew import Skew
    from tasks.runs.run import Run

# By step, not by line of defense: features and examples are one line, but are asked for one by one.
WHAT = {step.name.removeprefix("check_"): step for step in CHECKS}
"""Values of `--what`, and the step that checks it."""


def check(
    pipeline: Pipeline,
    as_of: AsOf,
    attempt: Annotated[
        str | None,
        folder_name(meaning="Run whose sample and models are checked; the day's latest that has some, if absent."),
    ] = None,
    what: Annotated[str, typer.Option(help="landed, features, examples, predictions or all.")] = "all",
    failed: Annotated[bool, typer.Option("--failed", help="Show only failed checks.")] = False,
    as_json: Json = False,
) -> None:
    """Check a day's landed data, features, examples and predictions.

    Exits with 1 if a critical check fails, or if what was built of the day is not there any more.
    """
    if what not in {*WHAT, "all"}:
        raise typer.BadParameter(f"--what: found {quoted(what)}, expected {', '.join(WHAT)} or all")
    from tasks.cli.answers import Checked, write_answer
    from tasks.runs.inspection import run_to_inspect
    from tasks.store.home import existing_home

    run = run_to_inspect(pipeline, as_of, attempt, existing_home())
    chosen = [name for name in WHAT if _exists(run, name)] if what == "all" else [what]
    if not as_json:
        where = f" as of {run.as_of}, sample and models of the attempt {run.attempt}"
        console.print(Text.assemble((run.spec.name, "bold"), where))
    steps = []
    # All of them, also behind a critical one: unlike a run, the command is to show everything that is wrong.
    for name in chosen:
        steps.append(_measure(run, name, alone=what != "all"))
        if not as_json:
            _print(steps[-1], failed_only=failed)
    if as_json:
        shown = tuple(_failed(step) if failed else step for step in steps)
        write_answer(Checked(pipeline=run.spec.name, as_of=run.as_of, attempt=run.attempt, steps=shown))
    else:
        absent = [name for name in WHAT if name not in chosen] if what == "all" else []
        console.print(_summary(run, absent, steps), highlight=False)
    if any(step.problem for step in steps):
        raise typer.Exit(1)


def _failed(step: CheckedStep) -> CheckedStep:
    return step.model_copy(update={"checks": tuple(check for check in step.checks if not check.success)})


def _exists(run: Run, what: str) -> bool:
    """Whether there is something to check. Landed data is always checked: none at all is what its checks are for."""
    from tasks.checks.built import why_not_built

    return {
        "landed": True,
        # Also where the tables are gone: of a day that was built, that is an answer.
        "features": any((run.step_dir(step) / "result.json").exists() for step in ("build", "sample"))
        or (run.home.warehouse(run.spec.name).exists() and why_not_built(run) is None),
        "examples": (run.step_dir("sample") / "result.json").exists(),
        "predictions": (run.step_dir("evaluate") / "result.json").exists(),
    }[what]


def _measure(run: Run, what: str, *, alone: bool) -> CheckedStep:
    """Run one check step, and return its verdicts and its critical problem.

    Raises:
        MatineeError: it could not run, and nothing else was asked for.
    """
    from tasks.checks.built import why_not_built
    from tasks.checks.verdicts import FILE, read_checks
    from tasks.cli.answers import CheckedStep

    step, problem = WHAT[what], None
    path = run.step_dir(step.name) / FILE
    before = path.stat().st_mtime_ns if path.exists() else None
    try:
        if step.reads_tables and (why := why_not_built(run)) is not None:
            return CheckedStep(what=what, checks=(), problem=why, built=False)
        with console.status(f"{what} …"):
            step.load()(run)
    except CheckFailed as error:
        problem = str(error)
    except MatineeError as error:
        if alone:
            raise
        # A check that cannot run hides none of the others, but counts as critical: it has not passed.
        return CheckedStep(what=what, checks=(), problem=f"{what}: {error}")
    # A step that fails before it has measured anything leaves an earlier call's file, which must not pass for its own.
    is_new = path.exists() and path.stat().st_mtime_ns != before
    return CheckedStep(what=what, checks=(read_checks(path.parent) or ()) if is_new else (), problem=problem)


def _print(step: CheckedStep, *, failed_only: bool) -> None:
    from tasks.cli.render.checks import render_checks

    if step.checks:
        console.print(render_checks(WHAT[step.what].line, step.checks, failed_only=failed_only), highlight=False)
    elif step.problem:
        console.print(Text(visible(step.problem), "red"), soft_wrap=True)
    console.print()


def _summary(run: Run, absent: list[str], steps: list[CheckedStep]) -> Text:
    critical = [step.what for step in steps if step.problem and step.built]
    not_built = [step.what for step in steps if not step.built]
    parts = [Text(f"Checked {', '.join(step.what for step in steps if step.built) or 'nothing'}.")]
    if not_built:
        parts.append(Text(f"Not there: {', '.join(not_built)}.", "yellow"))
    if absent:
        parts.append(Text(f"Nothing to check yet: {', '.join(absent)}."))
    if critical:
        words = (f"Critical: {', '.join(critical)}.", "bold red")
        parts.append(Text.assemble(words, " Steps that depend on it must not run."))
    parts.append(Text(f"Records: {run.step_dir('check_landed').parent}/check_*/checks.json"))
    return Text(" ").join(parts)


def skew(pipeline: Pipeline, as_of: AsOf, as_json: Json = False) -> None:
    """Compare the features logged by serving on a day with the tables; exits with 1 on a difference.

    Serving logs with `matinee serve … --log-features 0.01`.
    """
    from tasks.cli.answers import write_answer
    from tasks.errors import MatineeError
    from tasks.monitoring.serving_log import served_dir
    from tasks.monitoring.skew import skew_of
    from tasks.runs.run import Run
    from tasks.store.home import existing_home

    run = Run.create(pipeline, as_of, "cli", home=existing_home())
    comparison = skew_of(run)
    if comparison is None:
        raise MatineeError(
            f"{served_dir(run.home, run.spec.name, run.as_of)}: nothing was logged on {run.as_of}; expected log "
            f"files of the serving application: `matinee serve {run.spec.name} --log-features 0.01`"
        )
    if as_json:
        write_answer(comparison)
    else:
        console.print(render_skew(run.spec.name, comparison), soft_wrap=True)
    if comparison.differs:
        raise typer.Exit(1)


def render_skew(pipeline: str, skew: Skew) -> RenderableType:
    """Lay out the comparison as a table, with what is wrong below it."""
    table = Table(title=f"{pipeline}: {skew.requests} answers served on {skew.days[0]}", title_justify="left")
    table.add_column("feature")
    for name in ("compared", "different", "missing"):
        table.add_column(name, justify="right")
    table.add_column("example")
    for row in skew.features:
        style = "red" if row.level == "different" else "dim" if row.level == "not compared" else ""
        counts = [f"{count:,}" for count in (row.compared, row.different, row.missing)]
        table.add_row(row.feature, *counts, Text(row.example or row.level), style=style)
    versions = ", ".join(f"{served.version} ({served.requests})" for served in skew.versions)
    lines = [Text(f"versions: {versions or 'none'}")]
    lines += [Text(text, style="red") for text in (skew.stale, skew.problem) if text]
    return Group(table, *lines)
