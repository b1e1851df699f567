"""How checks look on the terminal: a table for each line of defence, with the trailing days as a sparkline."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.checks.verdicts import SEVERITIES, Check

LINES = {
    "landed": "Landed data",
    "features": "Features and examples",
    "predictions": "Predictions",
}
SIGNS = {"critical": ("✗", "bold red"), "warning": ("!", "yellow"), "info": ("i", "cyan")}
BLOCKS = "▁▂▃▄▅▆▇█"
WIDEST = 13  # trailing days that are drawn: with the day itself, two weeks


def render_checks(line: str, checks: Sequence[Check], *, failed_only: bool = False) -> RenderableType:
    """Lay out a line of defense: what failed first, then each other measure once, with its narrowest bounds."""
    failed = [check for check in checks if not check.success]
    failed.sort(key=lambda check: SEVERITIES.index(check.severity))  # stable: equals keep their order
    rows = failed if failed_only else [*failed, *_once(checks, failed)]
    heading = Text.assemble((LINES[line], "bold"), f"  {summary(checks)}")
    return Group(heading, _table(rows)) if rows else heading


def _once(checks: Sequence[Check], failed: Sequence[Check]) -> list[Check]:
    """The last verdict on each measure with nothing wrong: suites state the narrower bounds last."""
    bad = {(check.table, check.column) for check in failed}
    passed = [check for check in checks if check.success and " to " not in check.day]  # a span of days is history
    last = {(check.table, check.column): check for check in passed}
    return [check for name, check in last.items() if name not in bad]


def summary(checks: Sequence[Check]) -> str:
    """Count the checks that passed, and those that failed by severity."""
    failed = [check.severity for check in checks if not check.success]
    parts = [f"{len(checks) - len(failed)} of {len(checks)} checks passed"]
    parts += [f"{failed.count(severity)} {severity}" for severity in SEVERITIES if severity in failed]
    return " · ".join(parts)


def _table(checks: Sequence[Check]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("table", style="bold", min_width=11)
    table.add_column("measure", min_width=20)
    table.add_column("observed", overflow="fold")
    table.add_column("expected", overflow="fold")
    table.add_column("trend", no_wrap=True, min_width=WIDEST + 1)
    for check in checks:
        sign, style = ("✓", "green") if check.success else SIGNS[check.severity]
        table.add_row(
            Text(sign, style),
            Text(check.table),
            Text(check.title),
            Text(check.shown_observed, "" if check.success else style),
            Text(brief(check.expected)),
            Text(sparkline(check), "cyan"),
        )
    return table


def brief(expected: str) -> str:
    """Return what is expected in fewer characters."""
    if expected.startswith("at least ") and " and at most " in expected:
        return expected.removeprefix("at least ").replace(" and at most ", " to ")
    return expected.replace("at least ", "≥ ").replace("at most ", "≤ ").replace("exactly ", "= ")


def sparkline(check: Check) -> str:
    """Draw the trailing days and the day itself as a line of blocks, from the least to the greatest of them."""
    values = [float(value) for _, value in check.trend][-WIDEST:]
    if not values:
        return ""
    if isinstance(check.observed, int | float):
        values.append(float(check.observed))
    low, high = min(values), max(values)
    # A series of equal values is a flat line at the bottom.
    steps = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * steps)] for value in values)
