"""A pipeline: its runs, its tables, its landing, its published versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.arguments import Day, as_day, as_path, expect, one_of, plain_errors
from matinee.columns import LANDED, RUNS, VERSIONS
from matinee.ranking import Engine
from matinee.run import Run
from matinee.tables import read_parquet, reading, rows_of, table_names, table_of
from tasks.errors import MatineeError, WrongArgument

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.features.warehouse import Values, Warehouse
    from tasks.runs.run import Run as Attempt
    from tasks.spec.spec import Spec
    from tasks.store.files import Home

ATTEMPT = "python"
"""Name of the attempt that a notebook's runs are, unless it gives another one."""
SECONDS = 120


class Pipeline:
    """One recommender.

    Args:
        pipeline: its name in `pipelines/`, or the path of a pipeline file.
        home: the state folder; `MATINEE_HOME`, or `./var`, if absent.
        data: the folder or URL that a `files` source reads, for `run`.

    Raises:
        SpecError: the pipeline file is wrong.
    """

    def __init__(self, pipeline: str | Path, *, home: str | Path | None = None, data: str | Path | None = None) -> None:
        with plain_errors():
            from tasks.spec.load import load_spec
            from tasks.spec.project import pipeline_path, take_environment
            from tasks.store.files import Home, default_home

            # Not on import, which changes nothing of a process: the project's `.env` may say where its state lies.
            take_environment()
            named = as_path("pipeline", pipeline, "a name in pipelines/, or the path of a pipeline file")
            self.file = pipeline_path(named).resolve()
            """The pipeline file."""
            self._spec: Spec = load_spec(self.file)
            self._home: Home = default_home() if home is None else Home(as_path("home", home).resolve())
            self._data = None if data is None else as_path("data", data, "the folder or URL of a `files` source")

    def __repr__(self) -> str:
        return f"<Pipeline {self.name}: {self._spec.description}>"

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._spec.name)

    @property
    def home(self) -> Path:
        """The state folder."""
        return self._home.root

    def spec(self) -> dict[str, Any]:
        """The pipeline file as plain JSON values, with every default written out."""
        return self._spec.canonical()

    @plain_errors()
    def runs(self) -> pa.Table:
        """List the attempts there are, by day, of a day the latest first: as_of, attempt, verdict, good, folder.

        `verdict` and `good` are null until the report is written.
        """
        from tasks.runs.outcome import ReportResult
        from tasks.store.run_files import attempts, days

        home, rows = self._state(), []
        for day in days(home, self.name):
            for attempt in attempts(home, self.name, day):
                found = ReportResult.read_if_valid(attempt.step_dir("report") / "result.json")
                ended = (None, None) if found is None else (found.verdict, found.good)
                rows.append((day, attempt.name, *ended, str(attempt.dir)))
        return table_of(RUNS, rows)

    @plain_errors()
    def last_run(self, day: Day | None = None) -> Run:
        """Open the attempt that drew a sample last, of a day or of the latest day that has one.

        Raises:
            MatineeError: there is none.
        """
        from tasks.runs.inspection import latest_attempt
        from tasks.store.run_files import days

        wanted = [as_day(day)] if day is not None else list(reversed(days(self._state(), self.name)))
        for each in wanted:
            newest = latest_attempt(self._attempt(each, ATTEMPT))
            run = self._attempt(each, newest)
            if (run.step_dir("sample") / "result.json").is_file():
                return Run(run)
        of = f"of {wanted[0]}" if day is not None else "of any day"
        raise MatineeError(
            f"{self._home.root / 'runs' / self.name}: no run {of} has drawn a sample. `pipeline.run(day)` runs a "
            "day, `pipeline.runs()` lists what there is, and `pipeline.attempt(day, name)` opens one as far as it came"
        )

    @plain_errors()
    def attempt(self, day: Day, name: str = ATTEMPT) -> Run:
        """Open an attempt by its name, whether or not any of its steps has run: to look at it, or to run steps in it.

        Raises:
            MatineeError: the pipeline does not cover the day, or the name cannot be a folder's.
        """
        return Run(self._attempt(as_day(day), name))

    @plain_errors()
    def run(self, day: Day, attempt: str = ATTEMPT, *, again: bool = False, quiet: bool = False) -> Run:
        """Run every step of a day in this process, as `matinee run` does, and open the attempt.

        Args:
            day: the as-of day.
            attempt: name of the attempt. After a failure, the same one goes on where it stopped.
            again: run all steps, also those that are done.
            quiet: print no progress and no summary; warnings of the steps still go to the logger `matinee`.

        Raises:
            MatineeError: a step failed; a `GateFailed` or `CheckFailed` where that is why. What the steps before it
                left is there: open it with `attempt`.
        """
        from rich.console import Console

        from tasks.operations.local_airflow.data_folders import refuse_unread_folder
        from tasks.operations.process import quieten_libraries
        from tasks.operations.run_all import run_all
        from tasks.operations.terminal import plain_console

        run = self._attempt(as_day(day), attempt)
        refuse_unread_folder(run.spec, run.data)
        _ = run.windows  # a day before the first possible one is refused before anything is loaded
        quieten_libraries()
        run_all(run, Console(quiet=True) if quiet else plain_console(), resume=not again)
        return Run(run)

    def _attempt(self, day: date, name: str) -> Attempt:
        from tasks.runs.run import Run as Attempt
        from tasks.store.files import safe_name

        named = safe_name(expect("attempt", name, str, "the name of an attempt"))
        return Attempt.create(self.file, day, named, home=self._home, data=self._data)

    def _state(self) -> Home:
        """The state folder, for reading.

        Raises:
            MatineeError: there is none; an empty answer would look like one about this pipeline.
        """
        if not self.home.is_dir():
            raise MatineeError(
                f"{self.home}: no such state folder. Pass `home=`, set MATINEE_HOME, or run a day: `pipeline.run(day)`"
            )
        return self._home

    @plain_errors()
    def tables(self) -> list[str]:
        """Name the tables that are built: staged rows, daily aggregates, marts, labels."""
        with reading(self._warehouse(), SECONDS) as query:
            return table_names(query)

    @plain_errors()
    def mart(
        self, table: str, day: Day | None = None, *, columns: Sequence[str] | None = None, seconds: int = SECONDS
    ) -> pa.Table:
        """Read a built table, such as `feat_users`, `feat_items` or `labels`.

        Args:
            table: its name; `tables` lists them.
            day: only its rows of a day: features as of it, labels of that cut, rows that arrived on it.
            columns: a list of names; all if absent.
            seconds: after which the query is ended, as a build may be waiting for it.

        Raises:
            MatineeError: nothing is built, or somebody builds all the time.
            WrongArgument: there is no such table or column, or the day is not built.
        """
        wanted = None if day is None else as_day(day)
        with reading(self._warehouse(), seconds) as query:
            return rows_of(query, one_of("table", table, table_names(query)), wanted, columns)

    @plain_errors()
    def sql(self, text: str, values: Values = (), *, seconds: int = SECONDS) -> pa.Table:
        """Query the built tables in DuckDB's SQL; other files can neither be read nor written.

        Args:
            text: the query.
            values: of its parameters: `?` by place, or `$name` by name.
            seconds: after which it is ended, as a build may be waiting for it.

        Raises:
            WrongArgument: the query is none, or refused.
            MatineeError: nothing is built, somebody builds all the time, or it took too long.
        """
        with reading(self._warehouse(), seconds) as query:
            return query(text, values)

    def _warehouse(self) -> Warehouse:
        from tasks.features.engines import warehouse_of

        return warehouse_of(self._home, self.name)

    @plain_errors()
    def landed(self) -> pa.Table:
        """List the landed partitions: table, ds (day of arrival), rows, rejects (unreadable lines), path."""
        from tasks.store.partitions import read_manifests

        partitions = read_manifests(self._state(), self._spec.source_name, self._landed_tables(), None, date.max)
        return table_of(LANDED, [(each.table, each.ds, each.rows, each.rejects, str(each.path)) for each in partitions])

    @plain_errors()
    def landing(self, table: str, first: Day, last: Day | None = None) -> pa.Table:
        """Read the rows that arrived on a day, or from a first day to a last one, as they were landed.

        The bytes of each partition are compared with the digest in its manifest first.

        Args:
            table: of the source; `landed` lists them.
            first: day of arrival.
            last: the last one; `first` if absent.

        Raises:
            WrongArgument: there is no such table, or none of the days is landed.
            MatineeError: a partition is not what was landed.
        """
        from tasks.store.partitions import check_content, read_manifests

        one_of("table", table, self._landed_tables())
        days = as_day(first), as_day(last) if last is not None else as_day(first)
        partitions = read_manifests(self._home, self._spec.source_name, [table], *days)
        if not partitions:
            raise WrongArgument(
                f"{self._home.landing(self._spec.source_name) / table}: nothing is landed from {days[0]} to {days[1]}; "
                "`pipeline.landed()` lists what is"
            )
        for partition in partitions:
            check_content(partition)
        return read_parquet([partition.path for partition in partitions])

    def _landed_tables(self) -> list[str]:
        folder = self._state().landing(self._spec.source_name)
        return sorted(path.name for path in folder.glob("[!.]*") if path.is_dir())

    @plain_errors()
    def versions(self) -> pa.Table:
        """Read the timeline, oldest line first: version, as_of, alias, live, withdrawn, why, champion (opponent)."""
        from tasks.store.timeline import timeline

        events = timeline(self._state(), self.name)
        return table_of(VERSIONS, [tuple(getattr(event, name) for name in VERSIONS) for event in events])

    @plain_errors()
    def engine(self, version: str | None = None) -> Engine:
        """Load the engine of a published version.

        Args:
            version: its name, or an alias such as `champion`; the pipeline's own alias if absent.

        Raises:
            WrongArgument: there is no such version or alias.
            MatineeError: nothing is published yet, or the version is not what was published.
        """
        from tasks.publishing.rank import find_version

        if version is not None:
            expect("version", version, str, "the name of a version or of an alias")
        alias = self._spec.publish.alias
        aliases = {path.stem for path in (self._home.registry(self.name) / "aliases").glob("*.json")} | {alias}
        named = version if version is not None and version not in aliases else None
        alias = version if version is not None and version in aliases else alias
        return Engine.of(self._home, self.name, find_version(self._home, self.name, alias, named))
