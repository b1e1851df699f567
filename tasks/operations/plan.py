"""What a run would do, and why: `matinee plan`. Nothing is written, and no step runs.

A partition that is not landed yet, or whose input has changed since, counts as one of unknown content: what depends on
it will be built, and the version that the run makes has no name until then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

from engine.errors import EngineError
from tasks.evaluation.champion import champion_before, has_champion_gate
from tasks.examples.candidates import cut_folders, problem_of
from tasks.features.build import code_of_tables, ledger_of, needed_by
from tasks.features.dbt_run import edited_since
from tasks.features.ledger import CODE, BuildPlan, BuildRequest, TableCode, plan_build
from tasks.operations.retention import removed_versions
from tasks.publishing.publish import version_of
from tasks.runs.narration import named
from tasks.runs.run import Run
from tasks.sources.land import open_source, unlanded
from tasks.spec.windows import labels_lookback, lookback
from tasks.store.partitions import Partition
from tasks.store.registry import version_dir
from tasks.store.timeline import content_of, verdict_on

UNKNOWN = "unknown until it is landed"
UNTUNED = "made, or reused, once the settings of the retrievals are chosen (`tune.retrieval`)"
OTHER_CODE = "the SQL, the label or a library has changed since it was built"
NAMED = 3
Unlanded = Mapping[tuple[str, date], bool]
"""(table, day) to land first; True for those that are landed from another input."""


@dataclass(frozen=True)
class Reason:
    """Some days of one thing that a run would make, and why.

    Attributes:
        what: `land <table>`, `load <table>`, `features`, `labels` or `candidates`.
        days: of it, in order.
        why: the reason that these days have in common.
    """

    what: str
    days: tuple[date, ...]
    why: str


@dataclass(frozen=True)
class RunPlan:
    """What a run would do.

    Attributes:
        as_of: the day.
        reasons: what it would make.
        version: the version it would publish; None if that cannot be known before its days are landed.
        published: whether that version is in the registry already.
        faults: what of the registry the run would stop at, or fail its gates on, with what to do.
    """

    as_of: date
    reasons: tuple[Reason, ...]
    version: str | None
    published: bool
    faults: tuple[str, ...] = ()


def plan_run(run: Run) -> RunPlan:
    """Find out what a run would do.

    Raises:
        SourceError: input is missing.
        LandingError: a partition is damaged.
        BuildError: the warehouse is damaged.
    """
    missing = unlanded(open_source(run.spec, run.home, run.data), run.home, run.landing_start, run.as_of)
    need = needed_by(run.spec, run.home, [run.as_of], run.data, unknown=placeholders(missing))
    ledger, code = ledger_of(run), code_of_tables(run.spec)
    plan = plan_build(need, ledger, code)
    changed = _changed_code(run, code) if ledger and ledger.get(CODE) != code.digest else None
    reasons = [
        *_to_land(missing),
        *_to_load(plan, missing, changed),
        *_to_build(run, plan, "features", "as_of", plan.features, changed),
        *_to_build(run, plan, "labels", "cut", plan.labels, changed),
        *_to_retrieve(run, need),
    ]
    version = None if missing else version_of(run, need)
    published = version is not None and verdict_on(run.home, run.spec.name, run.spec.publish.alias, version) is not None
    read = [champion_before(run) if has_champion_gate(run.spec) else None, version if published else None]
    faults = tuple(_faults(run, [name for name in read if name is not None]))
    return RunPlan(run.as_of, tuple(reasons), version, published, faults)


def _faults(run: Run, versions: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with published versions that the run compares with, or makes again."""
    from engine.descriptor import check_artifacts, read_descriptor

    removed = removed_versions(run.home, run.spec.name)
    for version in versions:
        folder = version_dir(run.home, run.spec.name, version)
        if version in removed and not folder.exists():
            continue  # it had outlived its time; made again, it is the same
        try:
            check_artifacts(folder, read_descriptor(folder), content_of(run.home, run.spec.name, version))
        except EngineError as error:
            yield str(error)


def placeholders(missing: Unlanded) -> list[Partition]:
    """Make partitions of unknown content for those that are not landed yet."""
    # A text that is no digest equals none in the ledger: whatever would read the partition counts as stale.
    return [Partition(table, day, Path(), UNKNOWN, 0) for table, day in missing]


def _to_land(missing: Unlanded) -> Iterator[Reason]:
    for table in dict.fromkeys(table for table, _ in missing):
        for again, why in ((False, "not landed"), (True, "its input has changed since it was landed")):
            yield from _reason(
                f"land {table}", [d for (t, d), other in missing.items() if (t, other) == (table, again)], why
            )


def _changed_code(run: Run, code: TableCode) -> str:
    """Say what of the code has changed since the tables were built."""
    files = edited_since(run.home, run.spec, code.sql)
    return f"changed since it was built: {named(files, NAMED)}" if files else OTHER_CODE


def _to_load(plan: BuildPlan, missing: Unlanded, changed_code: str | None) -> Iterator[Reason]:
    for table in sorted({table for table, _ in plan.changed}):
        days = [day for name, day in sorted(plan.changed) if name == table and (name, day) not in missing]
        why = {day: changed_code or _why_loaded(plan, table, day) for day in days}
        yield from _grouped(f"load {table}", why)


def _why_loaded(plan: BuildPlan, table: str, day: date) -> str:
    # A day that only some of the models lack is one in which dbt was stopped.
    lacking = plan.lacking["ds", table, day]
    if len(lacking.missing) < lacking.models:
        return f"a build ended before {', '.join(lacking.missing[:NAMED])}"
    return "landed again with other rows" if lacking.other else "landed, not loaded"


def _to_build(
    run: Run, plan: BuildPlan, what: str, grain: str, days: Collection[date], changed_code: str | None
) -> Iterator[Reason]:
    back = lookback(run.spec) if what == "features" else labels_lookback(run.spec)
    ahead = timedelta(0) if what == "features" else run.spec.lag

    def why(day: date) -> str:
        lacking = plan.lacking[grain, "", day]
        if changed_code is not None:
            return changed_code
        if not lacking.other:
            return "never built"
        if len(lacking.missing) < lacking.models:
            return f"a build ended before {', '.join(lacking.missing[:NAMED])}"
        # A change of one day reaches the days that look back to it, and the label cuts that look ahead to it.
        changed = sorted(f"{table} of {ds}" for table, ds in plan.changed if day - back < ds <= day + ahead)
        return f"built before {named(changed, NAMED)}" if changed else "built from another landing"

    yield from _grouped(what, {day: why(day) for day in sorted(days)})


def _to_retrieve(run: Run, need: BuildRequest) -> Iterator[Reason]:
    folders = cut_folders(run, need)
    if run.spec.tune is not None and run.spec.tune.retrieval is not None:
        problems: dict[date, str | None] = dict.fromkeys(folders, UNTUNED)
    else:
        problems = {day: problem_of(folder) for day, folder in folders.items()}
    yield from _grouped("candidates", {day: why for day, why in sorted(problems.items()) if why is not None})


def _grouped(what: str, reasons: Mapping[date, str]) -> Iterator[Reason]:
    for why in dict.fromkeys(reasons.values()):
        yield from _reason(what, [day for day, reason in reasons.items() if reason == why], why)


def _reason(what: str, days: Iterable[date], why: str) -> Iterator[Reason]:
    if ordered := tuple(sorted(days)):
        yield Reason(what, ordered, why)


def format_days(days: Collection[date]) -> str:
    """Abbreviate days: as runs of consecutive ones, or as the first, the last and how many."""
    ordered = sorted(days)
    # In a run of consecutive days, the day number grows as fast as the position: their difference stays the same.
    runs = [
        [day for _, day in group]
        for _, group in groupby(enumerate(ordered), key=lambda pair: pair[1].toordinal() - pair[0])
    ]
    if len(runs) > NAMED:
        return f"{ordered[0]} … {ordered[-1]} ({len(ordered)} days)"
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} … {run[-1]} ({len(run)} days)" for run in runs)
