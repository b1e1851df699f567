"""Commands about rejected rows: list them, show them, and bring them back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from tasks.cli.options import Data, Json, Pipeline, example, grouped_options
from tasks.cli.quarantine_options import MOST_ON_TERMINAL, Corrected, Output, Selection, Signature
from tasks.errors import MatineeError, quoted
from tasks.operations.terminal import plain_console, write_data

if TYPE_CHECKING:
    from tasks.operations.staleness import StaleDays
    from tasks.quarantine.rejected_rows import RejectedPart
    from tasks.quarantine.release import Proposal
    from tasks.sources.source import Source
    from tasks.spec.spec import Spec
    from tasks.store.files import Home

app = typer.Typer(no_args_is_help=True)
console = plain_console()
FORMATS = ("table", "jsonl", "csv")


@app.command("list", epilog=example("matinee quarantine list streaming --from 2026-02-01 --to 2026-02-25"))
@grouped_options
def list_(
    pipeline: Pipeline,
    selection: Selection,
    days: Annotated[bool, typer.Option("--days", help="One line per day.")] = False,
    as_json: Json = False,
) -> None:
    """Count the rejected rows by table, rule and day, with shares and a trend, and list what has been released."""
    from tasks.cli.answers import write_answer
    from tasks.cli.render import quarantine as render_quarantine
    from tasks.quarantine.rejected_rows import rejected_parts
    from tasks.quarantine.revalidate import outdated_days
    from tasks.sources.released_rows import releases_of

    spec, home = _spec(pipeline)
    _check_names(spec, home, selection)
    parts = rejected_parts(home, spec.name, *selection.span, selection.table)
    # A rule is first seen on the first day of all, not on the first one that is selected.
    everything = rejected_parts(home, spec.name, date.min, date.max)
    counts = render_quarantine.count_by_rule(parts, everything, selection.rule)
    releases = releases_of(home, spec.source_name)
    if as_json:
        write_answer(render_quarantine.quarantine_answer(spec, counts, releases))
        return
    listing = render_quarantine.Listing(spec, counts, releases, outdated_days(spec, home, parts))
    console.print(render_quarantine.render_quarantine(listing, width=console.width, by_day=days), highlight=False)


@app.command(
    "show",
    epilog=example(
        "matinee quarantine show streaming --rule missing_id",
        "matinee quarantine show streaming --rule missing_id --format csv --out rows.csv",
    ),
)
@grouped_options
def show(
    pipeline: Pipeline,
    selection: Selection,
    output: Output,
    earlier: Annotated[bool, typer.Option("--earlier", help="Also of landings that were replaced since.")] = False,
) -> None:
    """Show rejected rows: their content, where they came from, and why they were rejected."""
    from tasks.cli.render.quarantine import rejected_rows_csv, rejected_rows_jsonl, render_rejected_rows
    from tasks.quarantine.rejected_rows import read_rejected_rows, rejected_parts
    from tasks.store.files import write_text

    as_table = output.form == "table"
    if output.form not in FORMATS:
        raise typer.BadParameter(f"--format: found {quoted(output.form)}, expected {', '.join(FORMATS)}")
    if as_table and output.out is not None:
        raise typer.BadParameter("--out: expected --format csv or jsonl with it")
    spec, home = _spec(pipeline)
    _check_names(spec, home, selection)
    rule = selection.rule
    parts = rejected_parts(home, spec.name, *selection.span, selection.table, earlier=earlier)
    total = sum(part.rules.get(rule, 0) if rule else part.rejected for part in parts)
    # Only the terminal has a limit of its own: rows that are missing in a file could not be corrected in it.
    rows = read_rejected_rows(parts, rule, output.limit or (MOST_ON_TERMINAL if as_table else None))
    if as_table:
        console.print(render_rejected_rows(spec, rows) if rows else "The quarantine is empty.", highlight=False)
        if len(rows) < total:
            console.print(f"{len(rows):,} of {total:,} rows; --limit shows more, --format csv --out <file> all")
        return
    text = rejected_rows_csv(rows) if output.form == "csv" else rejected_rows_jsonl(rows)
    if output.out is None:
        write_data(text)
    else:
        write_text(output.out, text)
        console.print(f"wrote {len(rows):,} of {total:,} rows to {output.out}", highlight=False)


@app.command(
    "release",
    epilog=example(
        "matinee quarantine release streaming --with rows.csv --why 'ids from the log' --dry-run",
        "matinee quarantine release streaming --rule unknown_kind --why 'the rule was wrong'",
    ),
)
@grouped_options
def release_(
    pipeline: Pipeline,
    signature: Signature,
    selection: Selection,
    corrected: Corrected,
    data: Data = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come back.")] = False,
) -> None:
    """Bring rejected rows back: corrected ones (--with), or, without it, those that a corrected rule now accepts.

    Staging checks the rows again before anything is written; what it rejects again stays in quarantine. The days
    concerned become stale, and the command that runs them again is printed.
    Exit codes: 0 every row comes back, 1 some or all are rejected again.
    """
    from tasks.operations.staleness import stale_after
    from tasks.quarantine.release import earlier_release, finish_releases, release
    from tasks.sources.land import open_source

    spec, home = _spec(pipeline)
    _check_names(spec, home, selection)
    person, reason = signature.person, signature.reason  # a blank reason is wrong usage: before anything slow
    source = open_source(spec, home, data)
    if not dry_run:
        finish_releases(home, source)  # one that was killed has left days to land; the proposal reads the landing
    with console.status("checking the rows again …"):
        proposal = _propose(spec, home, source, selection, corrected)
    # Corrected rows that were released are found one by one; for a corrected rule the release as a whole is.
    earlier = None if proposal.corrections else earlier_release(home, source.name, proposal)
    if earlier is not None:
        console.print(f"already released: {earlier.folder.name}, {earlier.record.made_at}, by {earlier.record.who}")
        return
    parts = proposal.parts or sorted({(row.table, row.ds) for row in proposal.accepted})  # a new rule changes none
    stale = stale_after(spec, home, source, parts, data)
    _print_proposal(proposal, stale, parts)
    if proposal.accepted and not dry_run:
        with console.status("landing the days again …"):
            released = release(spec, home, source, proposal, person, reason)
        console.print(f"released   {released.folder.name}", highlight=False)
    _print_next(pipeline, proposal, stale.runs, dry_run=dry_run, corrected=corrected.path is not None)
    raise typer.Exit(1 if proposal.rejected or not (proposal.accepted or proposal.released) else 0)


def _print_proposal(proposal: Proposal, stale: StaleDays, parts: Sequence[tuple[str, date]]) -> None:
    from tasks.cli.render.quarantine import render_proposal

    days = sorted({day for _, day in parts})
    console.print(render_proposal(proposal, stale, days), highlight=False, soft_wrap=True)


def _propose(spec: Spec, home: Home, source: Source, selection: Selection, corrected: Corrected) -> Proposal:
    from tasks.operations.plan import format_days
    from tasks.quarantine.corrected_rows import match_rows, read_corrected_rows
    from tasks.quarantine.rejected_rows import read_rejected_rows, rejected_parts
    from tasks.quarantine.release import propose_rows, propose_rule
    from tasks.quarantine.revalidate import days_landed_again

    parts: Sequence[RejectedPart] = rejected_parts(home, spec.name, *selection.span, selection.table)
    rows = read_rejected_rows(parts, selection.rule)
    if not rows:
        raise MatineeError(f"{spec.name}: no such rows in quarantine; see `matinee quarantine list {spec.name}`")
    if corrected.path is None:
        # The rows that are tried must be those of the landing: staging is asked about nothing else.
        if again := days_landed_again(spec, home, parts):
            raise MatineeError(
                f"{spec.name}: {format_days(again)}: landed again since the rows were rejected; run the day, or a "
                "later one, or choose other days with --from and --to"
            )
        return propose_rule(spec, home, source, rows)
    matches = match_rows(read_corrected_rows(corrected.path), rows, corrected.match)
    touched = {(match.rejected.table, match.rejected.ds) for match in matches}
    # Of every rule: staging checks whole days, so rows of the other rules are rejected again and are not news.
    before = read_rejected_rows([part for part in parts if (part.table, part.ds) in touched])
    return propose_rows(spec, home, source, matches, before)


def _print_next(pipeline: str, proposal: Proposal, runs: Sequence[date], *, dry_run: bool, corrected: bool) -> None:
    if not proposal.accepted and proposal.rejected:
        hint = (
            "correct the rows again"
            if corrected
            else "still rejected by the rules: fix the SQL in transforms/models/staging, or use corrected rows (--with)"
        )
        text = f"nothing comes back; {hint}"
    elif proposal.accepted and dry_run:
        text = "the same without --dry-run"
    elif proposal.accepted and runs:
        text = f"matinee backfill {pipeline} --from {runs[0]} --to {runs[-1]}"
    else:
        return
    console.print(f"next       {text}", highlight=False, soft_wrap=True)


def _spec(pipeline: str) -> tuple[Spec, Home]:
    from tasks.spec.load import load_spec
    from tasks.spec.project import pipeline_path
    from tasks.store.home import existing_home

    return load_spec(pipeline_path(pipeline)), existing_home()


def _check_names(spec: Spec, home: Home, selection: Selection) -> None:
    """Reject a table or a rule that does not exist: an empty answer would look like good news."""
    from tasks.quarantine.rejected_rows import rejected_parts
    from tasks.quarantine.rejection_rules import rules_of
    from tasks.spec.yaml_lines import nearest

    parts = rejected_parts(home, spec.name, date.min, date.max, earlier=True)
    # Folders with days, as anybody may have left a file beside them.
    landed = {path.parent.name for path in home.landing(spec.source_name).glob("[a-z]*/ds=*")}
    tables = sorted({part.table for part in parts} | landed)
    rules = sorted({name for part in parts for name in part.rules} | set(rules_of(spec.staging)))
    for option, name, known in (("--table", selection.table, tables), ("--rule", selection.rule, rules)):
        if name is not None and name not in known:
            raise typer.BadParameter(
                f"{option}: unknown {quoted(name)}; expected one of {', '.join(known)}{nearest(name, known)}"
            )
