"""Arguments and options that several commands share, and records of options for commands with many of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from tasks.cli.values import calendar_day, folder_name, folder_to_read
from tasks.operations.local_airflow.data_folders import refuse_unread_folder
from tasks.operations.terminal import plain_console

if TYPE_CHECKING:
    from tasks.runs.run import Run

errors = plain_console(stderr=True)

Pipeline = Annotated[str, typer.Argument(help="Name in pipelines/, or path of a pipeline file.")]
AsOf = Annotated[date, calendar_day("--as-of", meaning="UTC day; everything known by its end counts.")]
Attempt = Annotated[str, folder_name(meaning="Folder of the run's files; steps of one run share it.")]
Data = Annotated[
    Path | None, folder_to_read("--data", meaning="Folder of a `files` source, or a URL like s3://bucket/folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def open_run(pipeline: str, as_of: date, attempt: str, data: Path | None = None) -> Run:
    """Open a run for steps that need its windows; whatever is wrong with it is said before anything heavy is loaded.

    Raises:
        SpecError: the pipeline file is wrong, or the day is none that can be run.
        WrongArgument: a folder is given to a source that reads none.
    """
    from tasks.runs.run import Run

    run = Run.create(pipeline, as_of, attempt, data=data)
    refuse_unread_folder(run.spec, data)
    # Every step needs them. The first would refuse a day without, too, but only after seconds of imports, and with a
    # report on a run that there is none of.
    _ = run.windows
    return run


def example(*commands: str) -> str:
    """Format example calls for the end of a command's help."""
    label = "Example" if len(commands) == 1 else "Examples"
    return f"{label}: " + " · ".join(f"[bold]{command}[/bold]" for command in commands)


def grouped_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take dataclasses of options: on the command line, each field is an option of its own."""
    hints = get_type_hints(command, include_extras=True)
    records: dict[str, type[Any]] = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)
    }
    parameters = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name not in records:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name]))
            continue
        field_hints = get_type_hints(records[name], include_extras=True)
        for field in fields(records[name]):
            # Not `field.default`: of a required field that is MISSING, which would count as a default.
            default = inspect.signature(records[name]).parameters[field.name].default
            kind = inspect.Parameter.KEYWORD_ONLY  # these may mix required and optional ones in any order
            parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=field_hints[field.name]))

    @wraps(command)
    def flat(**values: Any) -> None:
        for name, record in records.items():
            values[name] = record(**{field.name: values.pop(field.name) for field in fields(record)})
        command(**values)

    # typer reads the signature and the annotations; with the command's own it would see the records.
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del flat.__wrapped__
    return flat


def renamed(old: str, new: str, command: Callable[..., None]) -> Callable[..., None]:
    """Keep a command under its old name for one version: it works as before, and names the new one on stderr."""

    @wraps(command)
    def hinted(*args: Any, **values: Any) -> None:
        hint = f"hint: `matinee {old}` is now `matinee {new}`; the old name goes away with the next version"
        errors.print(hint, soft_wrap=True, highlight=False)
        command(*args, **values)

    # typer finds the options through `__wrapped__`, which `wraps` has set: they are those of the new name.
    return hinted
