"""Commands about refused rows: look at them, and bring them back."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tasks.cli.days import Data, Pipeline
from tasks.errors import MatineeError

if TYPE_CHECKING:
    from tasks.quarantine.rejected_rows import Refusals
    from tasks.quarantine.release import Proposal
    from tasks.sources.source import Source
    from tasks.spec.spec import Spec
    from tasks.store.files import Home

app = typer.Typer(no_args_is_help=True)
console = Console()
SHOWN = 20
FORMATS = ("table", "jsonl", "csv")

Day = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Only this day.")]
From = Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")]
To = Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")]
Table = Annotated[str | None, typer.Option("--table", help="Only rows of this raw table.")]
Rule = Annotated[str | None, typer.Option("--rule", help="Only rows that this rule refused.")]
Earlier = Annotated[bool, typer.Option("--earlier", help="Also of landings that were replaced since.")]


def _example(text: str) -> str:
    return f"Example: [bold]{text}[/bold]"


@app.command("list", epilog=_example("matinee quarantine list streaming --from 2026-02-01 --to 2026-02-25"))
def list_(
    pipeline: Pipeline,
    as_of: Day = None,
    first: From = None,
    last: To = None,
    table: Table = None,
    rule: Rule = None,
    days: Annotated[bool, typer.Option("--days", help="A line for each day.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Count the refused rows by table, rule and day, with shares and trend, and what has been released."""
    from tasks.cli import render_quarantine as show
    from tasks.quarantine.rejected_rows import refusals
    from tasks.quarantine.revalidate import outdated
    from tasks.sources.released_rows import releases_of
    from tasks.store.files import canonical_json

    spec, home = _spec(pipeline)
    _known(spec, home, table, rule)
    found = refusals(home, spec.name, *_span(as_of, first, last), table)
    counted = show.tallies(found, refusals(home, spec.name, date.min, date.max), rule)
    released = releases_of(home, spec.source_name)
    if as_json:
        sys.stdout.write(canonical_json(show.as_json(spec, counted, released)))
    else:
        old = outdated(spec, home, found)
        console.print(show.overview(spec, counted, released, old, width=console.width, by_day=days), highlight=False)


@app.command("show", epilog=_example("matinee quarantine show streaming --rule missing_id --format csv --out mend.csv"))
def show_(
    pipeline: Pipeline,
    as_of: Day = None,
    first: From = None,
    last: To = None,
    table: Table = None,
    rule: Rule = None,
    earlier: Earlier = False,
    limit: Annotated[int | None, typer.Option(min=1, help=f"Most rows; {SHOWN} on the terminal if absent.")] = None,
    form: Annotated[str, typer.Option("--format", help="table, jsonl or csv.")] = "table",
    out: Annotated[Path | None, typer.Option("--out", help="File to write, to mend the rows in it.")] = None,
) -> None:
    """Show refused rows: what each says, where it came from, and why it was refused."""
    from tasks.cli import render_quarantine as show
    from tasks.quarantine.rejected_rows import refusals, rows_of
    from tasks.store.files import write_text

    if form not in FORMATS:
        raise typer.BadParameter(f"--format: found {form!r}, expected {', '.join(FORMATS)}")
    if form == "table" and out is not None:
        raise typer.BadParameter("--out: expected --format csv or jsonl beside it")
    spec, home = _spec(pipeline)
    _known(spec, home, table, rule)
    found = refusals(home, spec.name, *_span(as_of, first, last), table, earlier=earlier)
    in_all = sum(one.rules.get(rule, 0) if rule else one.refused for one in found)
    rows = rows_of(found, rule, limit or (SHOWN if form == "table" else None))
    if form == "table":
        console.print(show.as_tables(spec, rows) if rows else "Nothing is in quarantine.", highlight=False)
        if len(rows) < in_all:
            console.print(f"{len(rows):,} of {in_all:,} rows; --limit shows more, --format csv --out <file> all")
        return
    text = show.as_csv(rows) if form == "csv" else show.as_jsonl(rows)
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
        console.print(f"{len(rows):,} of {in_all:,} rows are in {out}", highlight=False)


@app.command(
    "release",
    epilog=_example("matinee quarantine release streaming --with mend.csv --why 'ids from the log' --dry-run"),
)
def release_(
    pipeline: Pipeline,
    why: Annotated[str, typer.Option("--why", help="Why the rows may come back; it is kept.")],
    mended: Annotated[
        Path | None,
        typer.Option("--with", help="File of mended rows (csv, jsonl, parquet), as `show --out` writes it."),
    ] = None,
    match: Annotated[
        str | None, typer.Option("--match", help="Column that tells which row is meant; refused_id or line_number.")
    ] = None,
    as_of: Day = None,
    first: From = None,
    last: To = None,
    table: Table = None,
    rule: Rule = None,
    who: Annotated[str | None, typer.Option("--who", help="Who releases; your user name if absent.")] = None,
    data: Data = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come back.")] = False,
) -> None:
    """Bring refused rows back: mended ones (--with), or, without it, those that a mended rule accepts now.

    Staging judges the rows again before anything is written; what it refuses again stays in quarantine. The days
    concerned become stale, and the command that runs them again is named.
    Exit codes: 0 every row comes back, 1 some or all are refused again.
    """
    from tasks.cli.render_quarantine import verdict
    from tasks.operations.staleness import stale_after
    from tasks.quarantine.release import done_before, finish, release
    from tasks.sources.land import open_source

    spec, home = _spec(pipeline)
    _known(spec, home, table, rule)
    by, reason = _who(who), why.strip()
    if not reason:
        raise typer.BadParameter("--why: found nothing, expected a reason")
    source = open_source(spec, home, data)
    if not dry_run:
        finish(home, source)
    with console.status("judging the rows again …"):
        found = _proposal(spec, home, source, _span(as_of, first, last), (table, rule), mended, match)
    done = None if found.mends else done_before(home, source.name, found)
    if done is not None:
        console.print(f"released already: {done.name}, {done.record.made_at}, by {done.record.who}")
        return
    parts = found.parts or sorted({(row.table, row.ds) for row in found.back})
    stale = stale_after(spec, home, source, parts, data)
    console.print(verdict(found, stale, sorted({day for _, day in parts})), highlight=False, soft_wrap=True)
    if found.back and not dry_run:
        with console.status("landing the days again …"):
            made = release(spec, home, source, found, by, reason)
        console.print(f"released   {made.name}", highlight=False)
    _next(pipeline, found, stale.runs, dry_run=dry_run, mended=mended is not None)
    raise typer.Exit(1 if found.still or not (found.back or found.released) else 0)


def _proposal(
    spec: Spec,
    home: Home,
    source: Source,
    span: tuple[date, date],
    chosen: tuple[str | None, str | None],
    mended: Path | None,
    match: str | None,
) -> Proposal:
    from tasks.operations.plan import spans
    from tasks.quarantine.corrected_rows import pairs, read_mended
    from tasks.quarantine.rejected_rows import refusals, rows_of
    from tasks.quarantine.release import propose_rows, propose_rule
    from tasks.quarantine.revalidate import landed_again

    table, rule = chosen
    found: Sequence[Refusals] = refusals(home, spec.name, *span, table)
    rows = rows_of(found, rule)
    if not rows:
        raise MatineeError(
            f"{spec.name}: nothing like that is in quarantine; see `matinee quarantine list {spec.name}`"
        )
    if mended is None:
        if again := landed_again(spec, home, found):
            raise MatineeError(
                f"{spec.name}: {spans(again)}: landed again since the refused rows were put aside; run the day, or a "
                "later one, or choose other days with --from and --to"
            )
        return propose_rule(spec, home, source, rows)
    meant = pairs(read_mended(mended), rows, match)
    touched = {(row.table, row.ds) for row, _ in meant}
    before = rows_of([one for one in found if (one.table, one.ds) in touched])
    return propose_rows(spec, home, source, meant, before)


def _next(pipeline: str, found: Proposal, runs: Sequence[date], *, dry_run: bool, mended: bool) -> None:
    if not found.back and found.still:
        hint = (
            "mend the rows once more"
            if mended
            else "the rules refuse them still: mend the SQL in transforms/models/staging/, or give mended rows (--with)"
        )
        console.print(f"next       nothing comes back; {hint}", highlight=False, soft_wrap=True)
    elif found.back and dry_run:
        console.print("next       the same without --dry-run", highlight=False)
    elif found.back and runs:
        console.print(
            f"next       matinee backfill {pipeline} --from {runs[0]} --to {runs[-1]}", highlight=False, soft_wrap=True
        )


def _spec(pipeline: str) -> tuple[Spec, Home]:
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path
    from tasks.store.files import default_home

    return load_spec(pipeline_path(pipeline)), default_home()


def _span(as_of: datetime | None, first: datetime | None, last: datetime | None) -> tuple[date, date]:
    if as_of is not None and (first is not None or last is not None):
        raise typer.BadParameter("--as-of: found it beside --from or --to, expected one or the other")
    if as_of is not None:
        return as_of.date(), as_of.date()
    span = first.date() if first else date.min, last.date() if last else date.max
    if span[0] > span[1]:
        raise typer.BadParameter(f"--from {span[0]} --to {span[1]}: the first day is after the last")
    return span


def _known(spec: Spec, home: Home, table: str | None, rule: str | None) -> None:
    """Refuse names that nothing has."""
    from tasks.quarantine.rejected_rows import refusals
    from tasks.quarantine.rejection_rules import rules_of
    from tasks.spec.yaml_lines import nearest

    found = refusals(home, spec.name, date.min, date.max, earlier=True)
    tables = sorted(
        {one.table for one in found} | {path.name for path in home.landing(spec.source_name).glob("[a-z]*")}
    )
    rules = sorted({name for one in found for name in one.rules} | set(rules_of(spec.staging)))
    for option, name, known in (("--table", table, tables), ("--rule", rule, rules)):
        if name is not None and name not in known:
            raise typer.BadParameter(
                f"{option}: unknown {name!r}; expected one of {', '.join(known)}{nearest(name, known)}"
            )


def _who(who: str | None) -> str:
    try:
        return who or getpass.getuser()
    except (KeyError, OSError):
        raise typer.BadParameter("--who: this user has no name; say who releases") from None
