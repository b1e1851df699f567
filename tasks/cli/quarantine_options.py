"""Records of options of the commands about rejected rows: which rows, how they are shown, who brings them back."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from tasks.cli.values import MOST_ROWS, calendar_day, file_to_read, file_to_write, whole_number

MOST_ON_TERMINAL = 20


@dataclass(frozen=True)
class Selection:
    """Options that say which rejected rows are meant."""

    as_of: Annotated[date | None, calendar_day("--as-of", meaning="Only this day.")] = None
    first: Annotated[date | None, calendar_day("--from", meaning="First day.")] = None
    last: Annotated[date | None, calendar_day("--to", meaning="Last day.")] = None
    table: Annotated[str | None, typer.Option("--table", help="Only rows of this raw table.")] = None
    rule: Annotated[str | None, typer.Option("--rule", help="Only rows that this rule rejected.")] = None

    @property
    def span(self) -> tuple[date, date]:
        """First and last day.

        Raises:
            BadParameter: the options contradict each other.
        """
        if self.as_of is not None and (self.first is not None or self.last is not None):
            raise typer.BadParameter("--as-of: found it together with --from or --to, expected one or the other")
        if self.as_of is not None:
            return self.as_of, self.as_of
        # An end that is left open means all days.
        first, last = self.first or date.min, self.last or date.max
        if first > last:
            raise typer.BadParameter(f"--from {first} --to {last}: the first day is after the last")
        return first, last


@dataclass(frozen=True)
class Output:
    """Options of `show` that say how many rows are written, how, and where to."""

    limit: Annotated[
        int | None, whole_number(1, MOST_ROWS, meaning=f"Most rows; {MOST_ON_TERMINAL} on the terminal if absent.")
    ] = None
    form: Annotated[str, typer.Option("--format", help="table, jsonl or csv.")] = "table"
    out: Annotated[Path | None, file_to_write("--out", meaning="File to write, to correct the rows in it.")] = None


@dataclass(frozen=True)
class Corrected:
    """Options of `release` that name the corrected rows."""

    path: Annotated[
        Path | None,
        file_to_read(
            "--with",
            meaning="File of corrected rows (csv, jsonl, parquet), as `show --out` writes it.",
            advice="`matinee quarantine show … --out FILE` writes the rows to correct",
        ),
    ] = None
    match: Annotated[
        str | None,
        typer.Option("--match", help="Column that identifies a row; rejected_id or line_number if absent."),
    ] = None


@dataclass(frozen=True)
class Signature:
    """Options of `release` that say who releases, and why."""

    why: Annotated[str, typer.Option("--why", help="Why the rows may come back; it is recorded.")]
    who: Annotated[str | None, typer.Option("--who", help="Who releases; your user name if absent.")] = None

    @property
    def reason(self) -> str:
        """The reason, which must not be blank."""
        if not self.why.strip():
            raise typer.BadParameter("--why: found nothing, expected a reason")
        return self.why.strip()

    @property
    def person(self) -> str:
        """The name given, or that of the user."""
        try:
            return self.who or getpass.getuser()
        except (KeyError, OSError):  # a container's user may have a number and no name
            raise typer.BadParameter("--who: this user has no name; say who releases") from None
