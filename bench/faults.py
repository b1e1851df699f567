"""Do the checks catch what they must, and nothing else? `python -m bench.faults`, `python -m bench.faults alarms`.

`catch` injects faults, one at a time, into a day of both bundled pipelines: into the rows that arrive, the files they
arrive in, the tables that are built, the models that are trained. The real steps run on it. A fault counts as caught
only if a check that it names beforehand fails, and passes on the same day without the fault; if publishing must stop,
that check must be critical and nothing may have been published.

`alarms` runs the same suites over clean days and counts what fails: simulated days with their declared dirt, and the
real days of the shop.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from bench import _faults_retail, _faults_streaming
from bench._false_alarms import Alarms, Clean, alarms, days, rows
from bench._fault_runs import Stage, prepare, try_all
from bench._faults import GATE, LINES, Verdict, short
from bench._results import home_of, keep, table
from tasks.spec.project import TOOL

FAULTS = {"streaming": _faults_streaming.FAULTS, "online_retail": _faults_retail.FAULTS}
DAYS = {"streaming": date(2026, 2, 26), "online_retail": date(2011, 10, 31)}
ORDER = (*LINES, GATE)
HEADER = (
    "fault",
    "what was done",
    "line",
    "caught by",
    "observed",
    "expected",
    "severity",
    "published",
    "s",
    "also failed",
)


def row(one: Verdict) -> tuple[str, ...]:
    """Lay out one fault's row of the table."""
    by, outcome = one.by, one.outcome
    name = one.fault.name if one.caught else f"**{one.fault.name}: {one.label}**"
    also = sorted({f"{other.table}: {other.measure}" for other in (*one.meant, *one.others) if other != by})
    published = "no" if outcome.stopped else "yes" if outcome.published else "may be"
    words = [short(text, 60) for text in (by.observed, by.expected)] if by else ["–", "–"]
    place = short(by.measure, 120) if by and by.table == "error" else f"{by.table}: {by.measure}" if by else "–"
    return (
        name, short(one.fault.what, 110), by.line if by else "–", place, *words, by.severity if by else "–",
        f"{published}{' (must not)' if one.fault.must_stop else ''}", f"{outcome.seconds:.1f}",
        short(", ".join(also[:4]) + (f" and {len(also) - 4} more" if len(also) > 4 else ""), 200) or "–",
    )  # fmt: skip


def caught(verdicts: dict[str, list[Verdict]]) -> str:
    """Lay out the first section: what was caught, by pipeline."""
    everything = [one for some in verdicts.values() for one in some]
    must_stop = [one for one in everything if one.fault.must_stop]
    parts = [
        "## Faults",
        "",
        f"{sum(one.caught for one in everything)} of {len(everything)} faults are caught, none by accident: only a "
        "check that the fault names beforehand counts, and only if it passes on the same day without the fault. "
        f"{len(must_stop)} of them must stop publishing: {sum(one.stopped_publishing for one in must_stop)} times "
        "nothing was published. "
        "The others need a warning, and are followed only as far as the line that gives it. "
        f"All of it took {sum(one.outcome.seconds for one in everything) / 60:.0f} minutes. "
        "Made by `python -m bench.faults catch --write`.",
    ]
    for name, some in verdicts.items():
        lines = {line: sum(one.caught and one.by is not None and one.by.line == line for one in some) for line in ORDER}
        total = ", ".join(f"{count} at {line}" for line, count in lines.items() if count)
        parts += ["", f"### {name}, {DAYS[name]}", "", f"{len(some)} faults; caught {total}.", ""]
        parts.append(table(HEADER, [row(one) for one in some]))
    return "\n".join(parts)


def false_alarms(of_pipelines: list[Alarms]) -> str:
    """Lay out the second section: what fails on clean days."""
    header = ("pipeline", "days landed", "features", "whole runs", "checks", "critical", "warnings", "warnings a week")
    counts = [
        (
            str(one.clean.pipeline), f"{len(one.clean.landed)}", f"{len({*one.clean.features, *one.clean.whole})}",
            f"{len(one.clean.whole)}", f"{one.checked:,}", f"{len(one.of('critical'))}", f"{len(one.of('warning'))}",
            f"{one.per_week:.2f}",
        )
        for one in of_pipelines
    ]  # fmt: skip
    parts = ["## False alarms", "", "Clean days, each checked as of its own evening. Made by "]
    parts[-1] += "`python -m bench.faults alarms --write`."
    parts += ["", table(header, counts)]
    for one in of_pipelines:
        spans = f"{one.clean.landed[0]} to {one.clean.landed[-1]}"
        parts += ["", f"### {one.clean.pipeline}, {spans}", ""]
        alarm = ("day", "severity", "line", "check", "observed", "expected")
        parts.append(table(alarm, [tuple(short(c) for c in cells) for cells in rows(one)]) if rows(one) else "None.")
    return "\n".join(parts)


def stages(folder: Path, given: argparse.Namespace, console: Console) -> dict[str, Stage]:
    """Prepare the chosen pipelines whose data is there."""
    return {
        name: prepare(folder, name, DAYS[name], console, given.data if name == "online_retail" else None)
        for name in pipelines(given, console)
    }


def pipelines(given: argparse.Namespace, console: Console) -> list[str]:
    """The chosen pipelines whose data is there; say of the others that they are skipped."""
    if "online_retail" in given.pipeline and not given.data.is_dir():
        console.print(f"skipped: {given.data} is absent; give the folder with --data, or its parent in MATINEE_DATA")
    return [name for name in given.pipeline if name != "online_retail" or given.data.is_dir()]


def clean_days(name: str, data: Path) -> Clean:
    """Choose the clean days of a pipeline."""
    if name == "streaming":
        simulated = days(date(2026, 2, 25), date(2026, 4, 25))
        return Clean(name, simulated, simulated, simulated[::20])
    whole = (date(2011, 10, 31),)
    real = days(date(2010, 12, 1), date(2011, 10, 31))
    return Clean(name, real, days(date(2011, 9, 6), date(2011, 10, 31), 5), whole, data)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("MATINEE_DATA", TOOL.parent / "shared" / "data")) / "online_retail"
    parser.add_argument("what", nargs="?", choices=("catch", "alarms"), default="catch")
    parser.add_argument("--pipeline", nargs="+", choices=list(DAYS), default=list(DAYS))
    parser.add_argument("--only", nargs="+", default=["*"], help="names of faults, as shell patterns; of `catch`")
    parser.add_argument("--through", default="publish", help="last step that a fault is followed to; for a quick look")
    parser.add_argument("--data", type=Path, default=default, help="folder of the shop's files, a CSV per day")
    parser.add_argument(
        "--home", type=Path, help="folder of prepared state, kept for the next call; a temporary one if absent"
    )
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    given, console = parsed(arguments), Console()
    with home_of(given.home) as folder:
        if given.what == "catch":
            verdicts = {}
            for name, stage in stages(folder, given, console).items():
                chosen = [one for one in FAULTS[name] if any(fnmatchcase(one.name, only) for only in given.only)]
                if chosen:
                    verdicts[name] = try_all(stage, chosen, folder / f"trying-{name}", console, given.through)
            text = caught(verdicts)
        else:
            clean = [clean_days(name, given.data) for name in pipelines(given, console)]
            text = false_alarms([alarms(one, folder / f"clean-{one.pipeline}", console) for one in clean])
    print(text)
    if given.write:
        keep("faults", "What the checks catch", ("catch", "alarms"), given.what, text)


if __name__ == "__main__":
    main()
