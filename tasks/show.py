"""What people see at the end of a step or a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tasks.run import Run


def render(result: Mapping[str, Any]) -> RenderableType:
    """Return a step's result as a small table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in result.items():
        table.add_row(key.replace("_", " "), _plain(value))
    return table


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return " · ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        shown = [_plain(item) for item in value[:8]]
        return ", ".join(shown) + (f", … ({len(value)} in all)" if len(value) > len(shown) else "")
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def metrics_table(records: list[dict[str, Any]], title: str) -> Table:
    """Return the figures over all groups: a row a metric, a column a rival, with the model's interval."""
    whole = [r for r in records if r["population"] == "*" and r["slice"] is None]
    rivals = list(dict.fromkeys(r["of"] for r in whole))
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for rival in rivals:
        table.add_column(rival, justify="right")
    for metric in dict.fromkeys(r["metric"] for r in whole):
        row = {r["of"]: r for r in whole if r["metric"] == metric}
        table.add_row(metric, *(_figure(row[rival], interval=rival == "model") for rival in rivals))
    return table


def _figure(record: Mapping[str, Any], *, interval: bool) -> str:
    if record["value"] is None:
        return "–"
    if not interval or record["low"] is None:
        return f"{record['value']:.4f}"
    return f"{record['value']:.4f} [{record['low']:.3f}, {record['high']:.3f}]"


def gate_lines(verdicts: list[dict[str, Any]]) -> list[Text]:
    """Return a line for each gate."""
    return [
        Text.assemble(
            ("  ✓ " if verdict["passed"] else "  ✗ ", "green" if verdict["passed"] else "red"),
            f"{verdict['gate']}: {verdict['detail']}",
        )
        for verdict in verdicts
    ]


def run_summary(run: Run, seconds: Mapping[str, float]) -> RenderableType:
    """Return what a finished run made, measured and published, and where it lies."""
    from tasks.home import read_json

    published = run.result("publish")
    parts: list[RenderableType] = [
        metrics_table(
            read_json(run.step_dir("evaluate") / "records.json"),
            f"{run.spec.name} as of {run.as_of}: {run.result('evaluate')['groups']} test groups",
        ),
        *gate_lines(run.result("gate")["gates"]),
        Text(f"version    {published['version']}", style="bold"),
        Text(f"descriptor {run.home.root / published['path']}/descriptor.json"),
        Text(f"report     {run.step_dir('report') / 'report.html'}"),
        Text(f"files      {run.dir}"),
        Text(f"time       {sum(seconds.values()):.0f} s"),
    ]
    return Group(*parts)
