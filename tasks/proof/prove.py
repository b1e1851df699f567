"""Prove that the run of a day knows nothing of what came after it: change what came after it, and compare.

The landing is copied aside and the day is run in several scenarios (`tasks.proof.scenarios`): the run's artifacts must
be the same in all of them. A feature of a past cut that looks a day ahead would be the same in all of them, too, so the
tables and the retrieval models of the last test cut are also compared with those of a scenario that ends with it.
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
from tasks.proof.scenarios import ORIGINAL, PAST, SCENARIOS, VERSION, Scenario, Scenarios
from tasks.runs.run import Run
from tasks.store.database import memory
from tasks.store.files import DIGESTS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.sources.source import Source

OTHERS = tuple(name for name in SCENARIOS if name != ORIGINAL)
ARTIFACTS = ("features", "labels", "retrieval", "examples", "sample", "models", "metrics", "descriptor")
FILES = {
    "examples": (("sample", "*.parquet"),),
    "sample": (("sample", "*.json"), ("sample/serving", "*.parquet")),
    "models": (("train", "**/*"),),
    "metrics": (("evaluate", "*"), ("gate", "*")),
    "descriptor": ((VERSION, "**/*"),),
}
"""Where a run keeps an artifact: steps, and the files in their folders."""
SHOWN = 5
"""Differences named of the first artifact of a scenario that has any; the others are counted."""


@dataclass(frozen=True)
class Comparison:
    """A scenario compared with the original.

    Attributes:
        name: one of `OTHERS`.
        differences: by artifact; an artifact that is absent was not compared.
    """

    name: str
    differences: dict[str, list[Difference]]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(self.differences.values())


@dataclass(frozen=True)
class Proof:
    """The run of a day in every scenario.

    Attributes:
        pipeline: its name.
        as_of: the day.
        last: the last day that was changed.
        comparisons: the other scenarios, compared with the original.
    """

    pipeline: str
    as_of: date
    last: date
    comparisons: tuple[Comparison, ...]

    @property
    def passed(self) -> bool:
        """Whether everything is the same in every scenario."""
        return all(comparison.same for comparison in self.comparisons)


def prove(
    run: Run,
    console: Console,
    folder: Path,
    *,
    days: int = 7,
    scenarios: Sequence[str] = OTHERS,
    jobs: int = 1,
) -> Proof:
    """Run a day in every scenario and compare.

    Args:
        run: the run to prove; its own home gets nothing but landed days.
        console: where progress is shown.
        folder: an empty one for the scenarios' homes (`work_folder`).
        days: how many days after the run's are changed.
        scenarios: which ones besides the original.
        jobs: how many run at once.

    Raises:
        SourceError: the source covers no day after the run's.
        MatineeError: a step failed, or nothing comes after the day in a scenario where something should.
    """
    from tasks.sources.land import landed_for, open_source

    source = open_source(run.spec, run.home, run.data)
    later = later_partitions(run, source, days)
    with console.status("land …"):
        known = land_ahead(run, source, days)
    partitions = landed_for(source, run.home, run.landing_start, known)
    with console.status("") as status:
        homes = Scenarios(run, partitions, known, later, folder, status.update)
        for scenario in homes.make_all(scenarios, jobs):
            console.print(_line(scenario), highlight=False, soft_wrap=True)
        comparisons = tuple(Comparison(name, compare_scenario(homes, name)) for name in scenarios)
    return Proof(run.spec.name, run.as_of, homes.last, comparisons)


@contextmanager
def work_folder(run: Run, console: Console, scratch: Path | None, keep: bool) -> Iterator[Path]:
    """Make a folder for a proof, below `scratch` or the run's home; it goes when the block ends, unless it is kept."""
    # Inside the run's home, partitions can be hard-linked; elsewhere they may have to be copied.
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


def later_partitions(run: Run, source: Source, days: int) -> list[tuple[str, date]]:
    """List what can land on the days after the run's: tables and days.

    Raises:
        SourceError: nothing can, because the source covers no day after it.
    """
    later: list[tuple[str, date]] = []
    for number in range(1, days + 1):
        day = run.as_of + timedelta(days=number)
        try:
            later += [(table, day) for table in source.tables if day in source.partitions(table, day, day)]
        except SourceError as error:
            if later:
                break  # the source ends within the days
            raise SourceError(
                f"{error}. Nothing can be proved of the source's last day: choose an earlier one"
            ) from None
    return later


def land_ahead(run: Run, source: Source, days: int) -> date:
    """Land what the run needs and the days after it; gives the last of them that the source has.

    Raises:
        SourceError: input of the run is missing.
    """
    from tasks.sources.land import land_range

    land_range(source, run.home, run.landing_start, run.as_of)
    known = run.as_of
    # Day by day, so that the days before a missing one are landed.
    with suppress(SourceError):  # a day that is not there yet
        for number in range(1, days + 1):
            day = run.as_of + timedelta(days=number)
            land_range(source, run.home, day, day)
            known = day
    return known


def _line(scenario: Scenario) -> str:
    known = ", ".join(f"{count:,} {table}" for table, count in scenario.after.items() if count)
    if scenario.name == ORIGINAL and not known:
        known = "nothing yet"
    return f"  {scenario.name:<9}{scenario.seconds:6.1f} s  {SCENARIOS[scenario.name]}{f': {known}' if known else ''}"


def compare_scenario(scenarios: Scenarios, name: str) -> dict[str, list[Difference]]:
    """Compare the run's artifacts in a scenario with those in the original."""
    scenarios.say(f"{name}: compare …")
    original, run = scenarios.run_in(ORIGINAL), scenarios.run_in(name)
    cuts = run.windows.refit
    with memory() as connection:
        if name == PAST:
            theirs = {f"{scenarios.cut}/{path.name}": path for path in sorted(scenarios.models_of_cut().iterdir())}
            # The original has models of all cuts, this scenario only those of the last one.
            ours = {file: path for file, path in _retrieval(original).items() if file in theirs}
            differences = _tables(connection, original, run, {"features": [scenarios.cut]})
            return differences | {"retrieval": file_differences(connection, ours, theirs)}
        differences = _tables(connection, original, run, {"features": [*cuts, run.as_of], "labels": cuts})
        for artifact in ("retrieval", *FILES):
            # A version is published by its bytes: parquet with the same rows in other bytes would be another version.
            bytewise = artifact == "descriptor"
            ours, theirs = files(original, artifact), files(run, artifact)
            differences[artifact] = file_differences(connection, ours, theirs, bytewise=bytewise)
    return differences


def _tables(
    connection: DuckDBPyConnection, original: Run, run: Run, days: Mapping[str, Sequence[date]]
) -> dict[str, list[Difference]]:
    """Compare the tables that examples are made from; `days` has those of the features and of the labels."""
    differences: dict[str, list[Difference]] = {artifact: [] for artifact in days}
    pipeline = run.spec.name
    with (
        warehouse_of(original.home, pipeline).open() as ours,
        warehouse_of(run.home, pipeline).open() as theirs,
        tempfile.TemporaryDirectory(prefix="matinee-") as folder,
    ):
        for table in TABLES:
            artifact = "labels" if table == "labels" else "features"
            if artifact in days:
                sides = {"ours": ours, "theirs": theirs}
                paths = {side: Path(folder) / f"{side}-{table}.parquet" for side in sides}
                # Compared as parquet copies: two warehouses cannot be joined in place (ADR 20).
                for side, tables in sides.items():
                    tables.write(rows_of_days(table, days[artifact]), paths[side])
                differences[artifact] += table_differences(connection, table, paths["ours"], paths["theirs"])
    return differences


def files(run: Run, artifact: str) -> dict[str, Path]:
    """Map the files of a run's artifact by the name that a difference gives them."""
    if artifact == "retrieval":
        return _retrieval(run)
    paths = [path for step, pattern in FILES[artifact] for path in sorted(run.step_dir(step).glob(pattern))]
    # Digests say again, without a name, which of the other files differ.
    return {str(path.relative_to(run.dir)): path for path in paths if path.is_file() and path.name != DIGESTS}


def _retrieval(run: Run) -> dict[str, Path]:
    """Map the models of every cut and of the day; candidates of the cuts only, nothing uses the day's."""
    from tasks.examples.candidates import CANDIDATES, made_folders

    paths: dict[str, Path] = {}
    for day, folder in sorted(made_folders(run).items()):
        names = sorted(path.name for path in folder.iterdir() if path.suffix != ".json")
        is_cut = day in run.windows.refit
        paths |= {f"{day}/{name}": folder / name for name in names if is_cut or name != CANDIDATES}
    return paths


def render(proof: Proof) -> RenderableType:
    """Tabulate artifacts (rows) by scenarios (columns), and list each difference below."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("artifact", style="bold")
    for comparison in proof.comparisons:
        table.add_column(comparison.name)
    for artifact in ARTIFACTS:
        table.add_row(artifact, *(_cell(comparison, artifact) for comparison in proof.comparisons))
    lines = [Text(line) for comparison in proof.comparisons for line in _named(comparison)]
    if proof.passed:
        end = Text(
            f"proven: nothing that happens or becomes known after {proof.as_of} (until {proof.last}) changes the run",
            style="green",
        )
    else:
        end = Text("not proven: the first difference named in a scenario is nearest to its cause", style="bold red")
    return Group("", table, "", *lines, *([""] if lines else []), end)


def _cell(comparison: Comparison, artifact: str) -> Text:
    if artifact not in comparison.differences:
        return Text("–", style="dim")
    return Text("DIFFERS", style="bold red") if comparison.differences[artifact] else Text("same", style="green")


def _named(comparison: Comparison) -> Iterator[str]:
    """Yield the differences of a scenario: several of the first artifact, one of each that it was passed on to."""
    left = SHOWN
    for artifact in ARTIFACTS:
        if differences := comparison.differences.get(artifact, []):
            yield from (f"{comparison.name} · {artifact}: {difference}" for difference in differences[:left])
            if len(differences) > left:
                yield f"{comparison.name} · {artifact}: … and {len(differences) - left:,} more"
            left = 1
