"""Prove that the run of a day knows nothing of what came after it: change what came after it, and compare.

The landing is copied aside and the day is run in several scenarios (`tasks.proof.scenarios`): what its run makes must
be the same in all of them. A feature of a past cut that looks a day ahead is the same in all of them, too, so
the tables and the retrieval models of the last judged cut are also compared with those of one that ended with it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.errors import SourceError
from tasks.features.engines import warehouse_of
from tasks.proof.differences import TABLES, Difference, file_differences, rows_of_days, table_differences
from tasks.proof.scenarios import ORIGINAL, PAST, VERSION, WORLDS, Scenario, Scenarios
from tasks.runs.run import Run
from tasks.store.database import memory

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.sources.source import Source

OTHERS = tuple(name for name in WORLDS if name != ORIGINAL)
ARTEFACTS = ("features", "labels", "retrieval", "examples", "sample", "models", "metrics", "descriptor")
FILES = {
    "examples": (("sample", "*.parquet"),),
    "sample": (("sample", "*.json"), ("sample/serving", "*.parquet")),
    "models": (("train", "**/*"),),
    "metrics": (("evaluate", "*"), ("gate", "*")),
    "descriptor": ((VERSION, "**/*"),),
}
"""Where a run keeps an artefact: steps, and the files in their folders."""
SHOWN = 5
"""Differences named of the first artefact of a world that has any; the others are counted."""


@dataclass(frozen=True)
class World:
    """What was found in a world.

    Attributes:
        name: one of `OTHERS`.
        differences: from the original, by artefact; an artefact that is absent was not compared.
    """

    name: str
    differences: dict[str, list[Difference]]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(self.differences.values())


@dataclass(frozen=True)
class Proof:
    """What the run of a day is in every world.

    Attributes:
        pipeline: its name.
        as_of: the day.
        last: the last day of the future.
        worlds: the worlds, compared with the original.
    """

    pipeline: str
    as_of: date
    last: date
    worlds: tuple[World, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is the same in every world."""
        return all(world.same for world in self.worlds)


def prove(
    run: Run,
    console: Console,
    *,
    days: int = 7,
    scratch: Path | None = None,
    keep: bool = False,
    worlds: Sequence[str] = OTHERS,
    jobs: int = 1,
) -> Proof:
    """Run a day in every world and compare.

    Args:
        run: the run to prove; its own home gets nothing but landed days.
        console: where progress is shown.
        days: length of the future.
        scratch: folder for the worlds' homes; below the run's home if absent.
        keep: leave them there.
        worlds: which ones.
        jobs: how many are made at once.

    Raises:
        SourceError: the source covers no day after the run's.
        MatineeError: a step failed, or nothing came after the day in a world where it should have.
    """
    from tasks.sources.land import landed_for, open_source

    source = open_source(run.spec, run.home, run.data)
    future = future_of(run, source, days)
    with console.status("land …"):
        known = land_ahead(run, source, days)
    partitions = landed_for(source, run.home, run.landing_start, known)
    with _folder(run, console, scratch, keep) as folder, console.status("") as status:
        made = Scenarios(run, partitions, known, future, folder, status.update)
        for world in made.make_all(worlds, jobs):
            console.print(_line(world), highlight=False, soft_wrap=True)
        found = tuple(World(name, compare_scenario(made, name)) for name in worlds)
    return Proof(run.spec.name, run.as_of, made.last, found)


@contextmanager
def _folder(run: Run, console: Console, scratch: Path | None, keep: bool) -> Iterator[Path]:
    parent = scratch or run.home.root
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"prove-{run.spec.name}-{run.as_of}-", dir=parent))
    try:
        yield folder
    finally:
        if keep:
            console.print(f"  kept: {folder}", highlight=False, soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def future_of(run: Run, source: Source, days: int) -> list[tuple[str, date]]:
    """Return what can land on the days after the run's: tables and days.

    Raises:
        SourceError: nothing can, because the source covers no day after it.
    """
    found: list[tuple[str, date]] = []
    for number in range(1, days + 1):
        day = run.as_of + timedelta(days=number)
        try:
            found += [(table, day) for table in source.tables if day in source.partitions(table, day, day)]
        except SourceError as error:
            if found:
                break
            raise SourceError(
                f"{error}. Nothing can be proved of the source's last day: choose an earlier one"
            ) from None
    return found


def land_ahead(run: Run, source: Source, days: int) -> date:
    """Land what the run needs and the days after it; return the last of them that the source has.

    Raises:
        SourceError: input of the run is missing.
    """
    from tasks.sources.land import land_range

    land_range(source, run.home, run.landing_start, run.as_of)
    known = run.as_of
    with suppress(SourceError):  # a day that is not there yet
        for number in range(1, days + 1):
            day = run.as_of + timedelta(days=number)
            land_range(source, run.home, day, day)
            known = day
    return known


def _line(world: Scenario) -> str:
    known = ", ".join(f"{count:,} {table}" for table, count in world.after.items() if count)
    if world.name == ORIGINAL and not known:
        known = "nothing yet"
    return f"  {world.name:<9}{world.seconds:6.1f} s  {WORLDS[world.name]}{f': {known}' if known else ''}"


def compare_scenario(worlds: Scenarios, name: str) -> dict[str, list[Difference]]:
    """Compare what the run made in a world with what it made in the original, by artefact."""
    worlds.say(f"{name}: compare …")
    original, run = worlds.run_in(ORIGINAL), worlds.run_in(name)
    cuts = run.windows.refit
    with memory() as connection:
        if name == PAST:
            theirs = {f"{worlds.cut}/{path.name}": path for path in sorted(worlds.models_of_cut().iterdir())}
            ours = {file: path for file, path in _retrieval(original).items() if file in theirs}
            found = _tables(connection, original, run, {"features": [worlds.cut]})
            return found | {"retrieval": file_differences(connection, ours, theirs)}
        found = _tables(connection, original, run, {"features": [*cuts, run.as_of], "labels": cuts})
        for artefact in ("retrieval", *FILES):
            one, other, bytewise = files(original, artefact), files(run, artefact), artefact == "descriptor"
            found[artefact] = file_differences(connection, one, other, bytewise=bytewise)
    return found


def _tables(
    connection: DuckDBPyConnection, original: Run, run: Run, days: Mapping[str, Sequence[date]]
) -> dict[str, list[Difference]]:
    """Compare the tables that examples are made from; `days` has those of the features and of the labels."""
    found: dict[str, list[Difference]] = {artefact: [] for artefact in days}
    pipeline = run.spec.name
    with (
        warehouse_of(original.home, pipeline).open() as ours,
        warehouse_of(run.home, pipeline).open() as theirs,
        tempfile.TemporaryDirectory(prefix="matinee-") as folder,
    ):
        for table in TABLES:
            artefact = "labels" if table == "labels" else "features"
            if artefact in days:
                sides = {"ours": ours, "theirs": theirs}
                paths = {side: Path(folder) / f"{side}-{table}.parquet" for side in sides}
                for side, tables in sides.items():
                    tables.write(rows_of_days(table, days[artefact]), paths[side])
                found[artefact] += table_differences(connection, table, paths["ours"], paths["theirs"])
    return found


def files(run: Run, artefact: str) -> dict[str, Path]:
    """Return the files of an artefact that a run made, by the name that a difference gives them."""
    if artefact == "retrieval":
        return _retrieval(run)
    paths = [path for step, pattern in FILES[artefact] for path in sorted(run.step_dir(step).glob(pattern))]
    return {str(path.relative_to(run.dir)): path for path in paths if path.is_file()}


def _retrieval(run: Run) -> dict[str, Path]:
    """Return the models of every cut and of the day; candidates of the cuts only, the day's are used by nobody."""
    from tasks.examples.candidates import CANDIDATES, made_folders

    found: dict[str, Path] = {}
    for day, folder in sorted(made_folders(run).items()):
        names = sorted(path.name for path in folder.iterdir() if path.suffix != ".json")
        judged = day in run.windows.refit
        found |= {f"{day}/{name}": folder / name for name in names if judged or name != CANDIDATES}
    return found


def render(proof: Proof) -> RenderableType:
    """Return artefacts (rows) by worlds (columns), and below them each difference by name."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column("artefact", style="bold")
    for world in proof.worlds:
        made.add_column(world.name)
    for artefact in ARTEFACTS:
        made.add_row(artefact, *(_cell(world, artefact) for world in proof.worlds))
    lines = [Text(line) for world in proof.worlds for line in _named(world)]
    if proof.holds:
        end = Text(
            f"proven: nothing that happens or becomes known after {proof.as_of} (until {proof.last}) changes the run",
            style="green",
        )
    else:
        end = Text("not proven: the first difference named in a world is nearest to its cause", style="bold red")
    return Group("", made, "", *lines, *([""] if lines else []), end)


def _cell(world: World, artefact: str) -> Text:
    if artefact not in world.differences:
        return Text("–", style="dim")
    return Text("DIFFERS", style="bold red") if world.differences[artefact] else Text("same", style="green")


def _named(world: World) -> Iterator[str]:
    """Yield what differs in a world: several of the first artefact, one of each of those that it was passed on to."""
    left = SHOWN
    for artefact in ARTEFACTS:
        if found := world.differences.get(artefact, []):
            yield from (f"{world.name} · {artefact}: {difference}" for difference in found[:left])
            if len(found) > left:
                yield f"{world.name} · {artefact}: … and {len(found) - left:,} more"
            left = 1
