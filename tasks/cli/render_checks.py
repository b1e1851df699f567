"""How checks look on the terminal: a table for each line of defence, with the trailing days as a sparkline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.checks.gx import SEVERITIES, is_rate, shown, title

LINES = {
    "landed": "Landed data",
    "features": "Features and examples",
    "predictions": "Predictions",
}
LOOKS = {"critical": ("✗", "bold red"), "warning": ("!", "yellow"), "info": ("i", "cyan")}
BLOCKS = "▁▂▃▄▅▆▇█"
WIDEST = 13

Record = Mapping[str, Any]


def render(line: str, records: Sequence[Record], *, failed_only: bool = False) -> RenderableType:
    """Return a line of defence: what failed first, then each other measure once, with its narrowest bounds."""
    failed = [record for record in records if not record["success"]]
    failed.sort(key=lambda record: SEVERITIES.index(record["severity"]))
    rows = failed if failed_only else [*failed, *_once(records, failed)]
    heading = Text.assemble((LINES[line], "bold"), f"  {summary(records)}")
    return Group(heading, _table(rows)) if rows else heading


def _once(records: Sequence[Record], failed: Sequence[Record]) -> list[Record]:
    """Return the last verdict on each measure that nothing is wrong with: suites state the narrower bounds last."""
    bad = {(record["table"], record["column"]) for record in failed}
    own = [record for record in records if record["success"] and " to " not in record["day"]]  # not the history
    last = {(record["table"], record["column"]): record for record in own}
    return [record for name, record in last.items() if name not in bad]


def summary(records: Sequence[Record]) -> str:
    """Return how many checks passed, and how many failed by severity."""
    failed = [record["severity"] for record in records if not record["success"]]
    parts = [f"{len(records) - len(failed)} of {len(records)} checks hold"]
    parts += [f"{failed.count(severity)} {severity}" for severity in SEVERITIES if severity in failed]
    return " · ".join(parts)


def _table(records: Sequence[Record]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("table", style="bold", min_width=11)
    table.add_column("measure", min_width=20)
    table.add_column("observed", overflow="fold")
    table.add_column("expected", overflow="fold")
    table.add_column("trend", no_wrap=True, min_width=WIDEST + 1)
    for record in records:
        sign, style = ("✓", "green") if record["success"] else LOOKS[record["severity"]]
        table.add_row(
            Text(sign, style),
            Text(record["table"]),
            Text(title(record["column"])),
            Text(_observed(record), "" if record["success"] else style),
            Text(brief(record["expected"])),
            Text(sparkline(record), "cyan"),
        )
    return table


def brief(expected: str) -> str:
    """Return what is expected in fewer characters."""
    if expected.startswith("at least ") and " and at most " in expected:
        return expected.removeprefix("at least ").replace(" and at most ", " to ")
    return expected.replace("at least ", "≥ ").replace("at most ", "≤ ").replace("exactly ", "= ")


def _observed(record: Record) -> str:
    inside = f" (in {record['observed_in']})" if record.get("observed_in") else ""
    return f"{shown(record['observed'], rate=is_rate(record['column']))}{inside}"


def sparkline(record: Record) -> str:
    """Return the trailing days and the day itself as a line of blocks, from the least to the greatest of them."""
    values = [float(value) for _, value in record.get("trend", [])][-WIDEST:]
    if not values:
        return ""
    if isinstance(record["observed"], int | float):
        values.append(float(record["observed"]))
    low, high = min(values), max(values)
    steps = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * steps)] for value in values)
