"""Build the SQL features: find out which days are not built from the current landing, and build that range.

What is built from what: `tasks.features.ledger`. One dbt invocation builds everything that is not, for one run or for
many.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from functools import cache
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from tasks.errors import BuildError, MatineeError
from tasks.features.dbt_run import dbt_vars, run_dbt
from tasks.features.engines import warehouse_of
from tasks.features.ledger import BuildPlan, BuildRequest, Entry, TableCode, plan_build
from tasks.features.warehouse import Tables, Warehouse
from tasks.runs.made_by import require_current_declarations
from tasks.runs.narration import say, warn
from tasks.runs.sql_lineage import sql_of
from tasks.spec.spec import Spec
from tasks.spec.windows import first_as_of, labels_lookback, landing_start, lookback, tuning_day, windows
from tasks.store.files import Home, digest, write_json
from tasks.store.partitions import check_content
from tasks.store.records import Record

if TYPE_CHECKING:
    from tasks.runs.run import Run
    from tasks.store.partitions import Partition


# Everything that computes numbers or writes files: another version may produce other bytes (ADR 6).
LIBRARIES = ("dbt-core", "dbt-duckdb", "duckdb", "implicit", "lightgbm", "numba", "numpy", "pyarrow", "scipy")


class DaySpan(Record):
    """How many days were built, and the first and last of them, if any."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    days: int
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="to")

    @classmethod
    def of(cls, days: Collection[date]) -> DaySpan:
        """Sum up days."""
        ends = {"from": min(days), "to": max(days)} if days else {}
        return cls.model_validate({"days": len(days), **ends})

    def __str__(self) -> str:
        span = f" ({self.first} to {self.last})" if self.days > 1 else f" ({self.first})" if self.days else ""
        return f"{self.days:,}{span}"

    @model_serializer(mode="wrap")
    def _without_none(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class BuildResult(Record):
    """What the step `build` had to build."""

    partitions_loaded: DaySpan
    features_built: DaySpan
    labels_built: DaySpan
    up_to_date: bool

    @classmethod
    def of(cls, plan: BuildPlan) -> BuildResult:
        """Sum up a plan."""
        return cls(
            partitions_loaded=DaySpan.of({day for _, day in plan.changed}),
            features_built=DaySpan.of(plan.features),
            labels_built=DaySpan.of(plan.labels),
            up_to_date=plan.empty,
        )

    def summary(self) -> str:
        """The days that were built."""
        if self.up_to_date:
            return "everything was built already"
        return (
            f"days loaded: {self.partitions_loaded}; feature days built: {self.features_built}; "
            f"label cuts built: {self.labels_built}"
        )


@cache
def libraries() -> dict[str, str]:
    """The versions of what computes; with others, nothing that was made before counts as made."""
    return {"python": platform.python_version(), **{name: library_version(name) for name in LIBRARIES}}


def landing_digest(partitions: Iterable[Partition]) -> str:
    """The digest of landed data."""
    return digest([[p.table, p.ds, p.sha256] for p in partitions])


def needed(run: Run) -> BuildRequest:
    """Read the landing once, and say what the run needs of it.

    Raises:
        LandingError: a day that the run depends on is not landed.
    """
    return needed_by(run.spec, run.home, [run.as_of], run.data)


def needed_by(
    spec: Spec, home: Home, days: Collection[date], data: Path | None = None, unknown: Sequence[Partition] = ()
) -> BuildRequest:
    """What runs for as-of days need together, and for the choice of their settings: the landing, and each one's days.

    A feature day and a label cut are functions of the landing up to them, so they are the same for every run.

    Args:
        spec: the pipeline.
        home: its state.
        days: the as-of days.
        data: folder of a `files` source.
        unknown: stand for partitions whose content is not known yet, in place of what is landed.

    Raises:
        LandingError: a day that the runs depend on is not landed.
    """
    from tasks.sources.land import landed_for, open_source

    source = open_source(spec, home, data)
    days = {*days, *(tuning_day(spec, day) for day in days)}
    partitions = landed_for(source, home, min(landing_start(spec, day) for day in days), max(days), instead=unknown)
    return BuildRequest(tuple(partitions), *wanted(spec, days, partitions, source.entities))


def wanted(
    spec: Spec, days: Collection[date], partitions: Sequence[Partition], entities: frozenset[str]
) -> tuple[dict[date, str], dict[date, str]]:
    """The digest that each feature day and each label cut of some runs must have been built from.

    Args:
        spec: the pipeline.
        days: the runs' as-of days.
        partitions: the landing, up to the last of them or further.
        entities: tables whose every row counts, however old.
    """
    # `refit` spans all windows, so it includes the cuts of training, validation and test.
    cuts = sorted({cut for day in days for cut in windows(spec, day).refit})
    features = {day: features_digest(spec, day, partitions, entities) for day in sorted({*cuts, *days})}
    back = labels_lookback(spec)
    labels = {cut: landing_digest(p for p in partitions if cut - back < p.ds <= cut + spec.lag) for cut in cuts}
    return features, labels


def features_digest(spec: Spec, day: date, partitions: Iterable[Partition], entities: frozenset[str]) -> str:
    """The digest of the landing that features as of a day are made from."""
    since = day - lookback(spec)
    return landing_digest(p for p in partitions if p.ds <= day and (p.ds > since or p.table in entities))


def require_built(run: Run, tables: Tables) -> None:
    """Refuse a warehouse that was not built from the landing as it is now.

    Raises:
        FilesChanged: the SQL was edited since the run's own build.
        BuildError: something was landed since, by another run or by hand.
    """
    # First, for its words; it also notices tables that another run has built anew since, of files that changed.
    run.require_unchanged("build")
    if not plan_build(needed(run), tables.ledger(), code_of_tables(run.spec)).empty:
        raise BuildError(
            f"{run.spec.name} {run.as_of}: the landing or the code has changed since the tables were built; run the "
            "steps again from `build` on"
        )


def code_of_tables(spec: Spec) -> TableCode:
    """All code that makes a pipeline's tables, as its files are now.

    Raises:
        BuildError: `dbt_project.yml` cannot be read.
    """
    sql = sql_of(spec)
    return TableCode(sql, digest([sql.digest, dbt_vars(spec), libraries()]))


def build(spec: Spec, home: Home, need: BuildRequest, folder: Path) -> BuildPlan:
    """Bring the warehouse up to date with what is needed, by at most one dbt invocation.

    Args:
        spec: the pipeline.
        home: its state.
        need: the landing, and the feature days and label cuts to build from it.
        folder: gets `models.json`, what dbt says of each model, and `dbt.log`.

    Returns:
        What had to be done.

    Raises:
        BuildError: dbt failed; what it did not finish and test is not built.
        FilesChanged: features or attributes are declared otherwise than when this process read them.
    """
    warehouse = warehouse_of(home, spec.name)
    with warehouse.locked():
        # Planned under the lock, because the previous holder may have built the same days. The files are read once: dbt
        # gets the texts that the ledger is stamped with, whatever is edited meanwhile.
        code = code_of_tables(spec)
        require_current_declarations(spec, code.sql)
        plan = warehouse.prepare(need, code)
        _say_plan(plan)
        # All tables of a day with a changed one are loaded; the rows of other days are in the warehouse already.
        loaded = {day for _, day in plan.changed}
        for partition in need.partitions:
            if partition.ds in loaded:
                check_content(partition)
        models = [] if plan.empty else run_dbt(spec, home, code.sql, folder / "dbt.log")
        if not plan.empty:
            # The models' own entries are not enough: days whose tests failed or never ran do not count as built.
            warehouse.record_tested()
    write_json(folder / "models.json", [model.to_json() for model in models])
    return plan


def _say_plan(plan: BuildPlan) -> None:
    if plan.empty:
        say("nothing to build: the tables were built from what is landed, by this code")
        return
    say(
        "to build: {partitions:,} partitions to load, feature days: {features}, label cuts: {labels}",
        partitions=len(plan.changed), features=DaySpan.of(plan.features), labels=DaySpan.of(plan.labels),
    )  # fmt: skip
    if again := sum(bool(lacking.other) for lacking in plan.lacking.values()):
        say("{again:,} of them were built before, from other rows, another pipeline file or by other code", again=again)


def build_staging(
    spec: Spec, home: Home, partitions: Sequence[Partition], log: Path, select: str = "+rejected_rows"
) -> Warehouse:
    """Run only the staging of some landed partitions, without tests, in a home that is thrown away afterwards.

    Args:
        spec: the pipeline.
        home: a scratch home.
        partitions: the landing.
        log: gets what dbt says.
        select: what to build, in dbt's words.

    Raises:
        BuildError: dbt failed.
    """
    warehouse = warehouse_of(home, spec.name)
    with warehouse.locked():
        code = code_of_tables(spec)
        warehouse.prepare(BuildRequest(tuple(partitions)), code)
        run_dbt(spec, home, code.sql, log, select=select)
    return warehouse


def build_step(run: Run, together: Collection[date] = ()) -> BuildResult:
    """Bring the warehouse up to date for the run.

    Args:
        run: the run.
        together: as-of days of runs that wait for the same: if this one has to build, theirs are landed and built in
            the same dbt invocation, when they can be.

    Raises:
        BuildError: dbt failed; nothing is marked as built.
    """
    # A day before the first possible one has no windows; it would fail the build for all the others.
    days = sorted({run.as_of, *(day for day in together if first_as_of(run.spec) <= day)})
    need = needed(run)
    with run.write("build") as folder:
        if len(days) == 1 or plan_build(need, ledger_of(run), code_of_tables(run.spec)).empty:
            plan = build(run.spec, run.home, need, folder.path)
        else:
            plan = _build_together(run, days, folder.path)
        folder.result = result = BuildResult.of(plan)
    return result


def ledger_of(run: Run) -> dict[Entry, str]:
    """The ledger of the run's warehouse, empty where there is none yet."""
    return warehouse_of(run.home, run.spec.name).ledger()


def _build_together(run: Run, days: Sequence[date], folder: Path) -> BuildPlan:
    """Build the run's days with those of others, or alone if that goes wrong: theirs is not its affair."""
    from tasks.sources.land import land

    say("with it {others:,} days that wait: {first} to {last}", others=len(days) - 1, first=days[0], last=days[-1])
    try:
        land(run.spec, run.home, landing_start(run.spec, days[0]), days[-1], data=run.data)
        return build(run.spec, run.home, needed_by(run.spec, run.home, days, run.data), folder)
    except MatineeError as error:
        warn("the days {first} to {last} are not built together: {why}", first=days[0], last=days[-1], why=str(error))
        return build(run.spec, run.home, needed(run), folder)
