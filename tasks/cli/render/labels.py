"""A label on the terminal: a table of its rules, the mix of grades, and pairs of each rule."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.errors import count_of
from tasks.examples.label_report import Interaction, Labels, Pair, Tally
from tasks.spec.label import GradeRule

BAR = 30
LISTED = 6


def render_labels(report: Labels) -> RenderableType:
    """Lay out the answer of `matinee labels`."""
    run, label = report.run, report.run.spec.label
    head = (
        f"{run.spec.name} as of {run.as_of}: {len(report.cuts)} cuts, {report.cuts[0]} to {report.cuts[-1]}; "
        f"labels look {count_of(label.horizon, 'day')} ahead and wait {label.lateness} more"
    )
    parts: list[RenderableType] = [Text(head), Text(), _rules(report), Text(), *_mix(report)]
    if report.nothing_followed is None:
        parts += [Text(), Text(f"The examples are counted once `{_command(report, 'retrieve')}` has run.", "yellow")]
    if report.few:
        parts += [Text(), Text(f"Note: {report.few}.", "yellow")]
    return Group(*parts, *_pairs(report))


def _command(report: Labels, step: str) -> str:
    return f"matinee {step} {report.run.spec.name} --as-of {report.run.as_of}"


def _rules(report: Labels) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("rule", justify="right")
    table.add_column("grade", justify="right")
    table.add_column("matches when", overflow="fold")
    table.add_column("pairs", justify="right")
    table.add_column("examples", justify="right")
    table.add_column("remark", overflow="fold")
    for tally, rule in zip(report.rules, report.run.spec.label.grades, strict=True):
        numbers = [_number(tally.decides), _number(tally.examples)]
        table.add_row(str(tally.number), str(rule.grade), Text(_rule_text(rule)), *numbers, _remark(tally))
    undecided = report.undecided
    table.add_row(
        "–", "0", "something followed, no rule matches", _number(undecided.decides), _number(undecided.examples)
    )
    shown = "shown" if report.run.spec.examples.kind == "impressions" else "retrieved"
    table.add_row("–", "0", f"{shown}, nothing followed", "–", _number(report.nothing_followed))
    return table


def _rule_text(rule: GradeRule) -> str:
    return f"{rule.key}: {rule.condition}"


def _number(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _remark(tally: Tally) -> Text:
    if not tally.holds:
        return Text("never fires", "bold red")
    others = ", ".join(f"{number} ({count:,})" for number, count in tally.shadowed.items())
    if not tally.decides:
        return Text(f"always shadowed by {others}", "bold red")
    return Text(f"shadowed by {others}" if others else "")


def _mix(report: Labels) -> Iterator[Text]:
    mix, what = report.mix(), "pairs" if report.nothing_followed is None else "examples"
    total = sum(mix.values())
    yield Text(f"grades of the {total:,} {what}")
    for grade, count in mix.items():
        share = count / total if total else 0.0
        yield Text(f"  {grade}  {'█' * round(BAR * share):<{BAR}}  {share:6.1%}  {count:,}")


def _pairs(report: Labels) -> Iterator[RenderableType]:
    """Yield some pairs of each rule, with what the rule saw of them."""
    names = [f"rule {n}, grade {rule.grade}" for n, rule in enumerate(report.run.spec.label.grades, start=1)]
    for tally, name in zip((*report.rules, report.undecided), (*names, "no rule, grade 0"), strict=True):
        if tally.pairs:
            yield Text(f"\n{name}, for example", "bold")
            yield from (Text(f"  {_line(pair)}") for pair in tally.pairs)


def _line(pair: Pair) -> str:
    before = [done for done in pair.interactions if not done.ahead]
    ahead = [done for done in pair.interactions if done.ahead]
    parts = [f"before: {_listed(before)}; then: "] if before else []
    return f"{pair.user_id}  {pair.item_id}  cut {pair.cut}  {''.join(parts)}{_listed(ahead)}"


def _listed(interactions: list[Interaction]) -> str:
    shown = ", ".join(f"{done.kind} {done.value:g} ({_when(done)})" for done in interactions[:LISTED])
    return shown + (f", … ({len(interactions)} in all)" if len(interactions) > LISTED else "")


def _when(done: Interaction) -> str:
    return f"{done.at:%m-%d %H:%M}" if done.ahead else f"{done.at:%Y-%m-%d}"
