"""The command that checks a day: every line of defense that has something to check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from tasks.cli.days import console
from tasks.cli.options import AsOf, Pipeline
from tasks.errors import CheckFailed, MatineeError
from tasks.runs.steps import CHECKS

if TYPE_CHECKING:
    from tasks.runs.run import Run

# By step, not by line of defense: features and examples are one line, but are asked for one by one.
WHAT = {step.name.removeprefix("check_"): step for step in CHECKS}
"""Values of `--what`, and the step that checks it."""


def check(
    pipeline: Pipeline,
    as_of: AsOf,
    attempt: Annotated[
        str | None,
        typer.Option(help="Run whose sample and models are checked; the day's latest that has some, if absent."),
    ] = None,
    what: Annotated[str, typer.Option(help="landed, features, examples, predictions or all.")] = "all",
    failed: Annotated[bool, typer.Option("--failed", help="Show only failed checks.")] = False,
) -> None:
    """Check a day's landed data, features, examples and predictions; exits with 1 if a critical check fails."""
    if what not in {*WHAT, "all"}:
        raise typer.BadParameter(f"found {what!r}, expected {', '.join(WHAT)} or all")
    from tasks.runs.inspection import run_to_inspect

    run = run_to_inspect(pipeline, as_of.date(), attempt)
    chosen = [name for name in WHAT if _exists(run, name)] if what == "all" else [what]
    where = f" as of {run.as_of}, sample and models of the attempt {run.attempt}"
    console.print(Text.assemble((run.spec.name, "bold"), where))
    # All of them, also behind a critical one: unlike a run, the command is to show everything that is wrong.
    problems = {name: _check(run, name, failed_only=failed, alone=what != "all") for name in chosen}
    console.print(_summary(run, chosen, [name for name, problem in problems.items() if problem]), highlight=False)
    if any(problems.values()):
        raise typer.Exit(1)


def _exists(run: Run, what: str) -> bool:
    """Whether there is something to check. Landed data is always checked: none at all is what its checks are for."""
    return {
        "landed": True,
        "features": run.home.warehouse(run.spec.name).exists(),
        "examples": (run.step_dir("sample") / "result.json").exists(),
        "predictions": (run.step_dir("evaluate") / "result.json").exists(),
    }[what]


def _check(run: Run, what: str, *, failed_only: bool, alone: bool) -> str | None:
    """Run one check step, print its checks, and return the critical problem, None if there is none.

    Raises:
        MatineeError: it could not run, and nothing else was asked for.
    """
    from tasks.checks.verdicts import FILE, read_checks
    from tasks.cli.render_checks import render_checks

    step = WHAT[what]
    problem = None
    path = run.step_dir(step.name) / FILE
    before = path.stat().st_mtime_ns if path.exists() else None
    try:
        with console.status(f"{what} …"):
            step.load()(run)
    except CheckFailed as error:
        problem = str(error)
    except MatineeError as error:
        if alone:
            raise
        # A check that cannot run hides none of the others, but counts as critical: it has not passed.
        console.print(Text(f"{what}: {error}", "red"), soft_wrap=True)
        return str(error)
    # A step that fails before it has measured anything leaves an earlier call's file, which must not pass for its own.
    if path.exists() and path.stat().st_mtime_ns != before:
        console.print(
            render_checks(step.line, read_checks(path.parent) or (), failed_only=failed_only), highlight=False
        )
    elif problem:
        console.print(Text(problem, "red"))
    console.print()
    return problem


def _summary(run: Run, chosen: list[str], critical: list[str]) -> Text:
    absent = [name for name in WHAT if name not in chosen]
    parts = [Text(f"Checked {', '.join(chosen)}.")]
    if absent:
        parts.append(Text(f"Nothing to check yet: {', '.join(absent)}."))
    if critical:
        words = (f"Critical: {', '.join(critical)}.", "bold red")
        parts.append(Text.assemble(words, " Steps that depend on it must not run."))
    parts.append(Text(f"Records: {run.step_dir('check_landed').parent}/check_*/checks.json"))
    return Text(" ").join(parts)
