"""Run a range of days without a scheduler: land and build it once, then train its days side by side.

What is done already is skipped, so a backfill that was stopped goes on where it was: a day is done when the version
that it would make of the landing as it is now is published, or when a gate has refused it. Verdicts against the
champion are made in the order of days, whatever the order in which models get trained.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tasks.errors import GateFailed, MatineeError, SpecError
from tasks.evaluation.champion import champion_before, champion_by_day, has_champion_gate, outdated_verdicts
from tasks.features.build import BuildResult, build, code_of_tables, ledger_of, needed, needed_by
from tasks.features.ledger import BuildPlan, plan_build
from tasks.operations.plan import placeholders
from tasks.publishing.publish import version_of
from tasks.runs.steps import STEPS, WITH_RESULT, sequence
from tasks.sources.land import Progress, land, open_source, unlanded
from tasks.spec.windows import first_as_of
from tasks.store.files import atomic_dir, locked, read_json
from tasks.store.registry import TimelineEvent

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.runs.run import Run
    from tasks.spec.spec import Spec
    from tasks.store.files import Home

ATTEMPT = "backfill"
DAY = timedelta(days=1)
JUDGING = tuple(step.name for step in STEPS if step.needs_champion)
"""Steps that compare with the champion: with a gate against it they wait for the days before."""


@dataclass(frozen=True)
class BackfillDay:
    """One day of a backfill, and what is to be done about it.

    Attributes:
        as_of: the day.
        version: what a run makes of the landing as it is; None before its days are landed.
        state: `train`, `judge` (published, but compared with another champion than the one before it by now),
            `published` or `refused` (by a gate); then what became of it: `failed` too.
        detail: the gate's or the failed step's words.
        seconds: how long it took.
    """

    as_of: date
    version: str | None
    state: str
    detail: str = ""
    seconds: float | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing to do."""
        return self.state in {"published", "refused"}


def days_between(spec: Spec, first: date, last: date) -> list[date]:
    """Return the as-of days of a range.

    Raises:
        SpecError: the range is empty, or not covered by the pipeline.
    """
    start = first_as_of(spec)
    if first > last:
        raise SpecError(
            f"--from {first} --to {last}: the first day is after the last; expected them the other way round"
        )
    if first < start or (spec.end is not None and last > spec.end):
        raise SpecError(
            f"--from {first} --to {last}: pipeline {spec.name!r} can be run for {start} to {spec.end or 'yesterday'}; "
            "choose days in this range, or change `start` and `end` in the pipeline file"
        )
    return [first + n * DAY for n in range((last - first).days + 1)]


@contextmanager
def only_one(home: Home, spec: Spec) -> Iterator[None]:
    """Hold the lock of a pipeline's backfills.

    Raises:
        MatineeError: another one runs.
    """
    busy = f"another `matinee backfill {spec.name}` runs on this state folder; wait for it or end it"
    with locked(home.root / "backfills" / spec.name / ".lock", busy, seconds=0):
        yield


def look(runs: list[Run], *, again: bool = False) -> tuple[BuildPlan, list[BackfillDay]]:
    """Return what there is to build for all days, and what is to be done about each of them; nothing is written.

    Args:
        runs: one of each day, in their order.
        again: take no day for done.
    """
    one = runs[0]
    source = open_source(one.spec, one.home, one.data)
    missing = unlanded(source, one.home, one.landing_start, runs[-1].as_of)
    need = needed_by(one.spec, one.home, [run.as_of for run in runs], one.data, unknown=placeholders(missing))
    first = min((day for _, day in missing), default=date.max)
    last, outdated = champion_by_day(one.home, one.spec), set(outdated_verdicts(one.home, one.spec))
    days = [
        BackfillDay(run.as_of, None, "train")
        if run.as_of >= first
        else _look_at(run, last.get(run.as_of), outdated=run.as_of in outdated, again=again)
        for run in runs
    ]
    return plan_build(need, ledger_of(one), code_of_tables(one.spec)), days


def _look_at(run: Run, last: TimelineEvent | None, *, outdated: bool, again: bool) -> BackfillDay:
    """Look at a day whose last version that holds is given: one that was overtaken since is run again, to be last."""
    version = version_of(run, needed(run))
    if again:
        return BackfillDay(run.as_of, version, "train")
    if last is not None and version == last.version:
        return BackfillDay(run.as_of, version, "judge" if outdated else "published")
    refused = _refused(run, version)
    return (
        BackfillDay(run.as_of, version, "train")
        if refused is None
        else BackfillDay(run.as_of, version, "refused", refused)
    )


def _refused(run: Run, version: str) -> str | None:
    """Return the words of the gate that refused a version in some attempt; None if none did, or it would ask anew."""
    for path in sorted(run.home.runs(run.spec.name, run.as_of).glob("*/gate/result.json")):
        verdict = read_json(path)
        if verdict.get("version") == version and not verdict["passed"]:
            if has_champion_gate(run.spec) and verdict.get("champion") != champion_before(run):
                continue
            return "; ".join(f"{one['gate']}: {one['detail']}" for one in verdict["gates"] if not one["passed"])
    return None


def land_all(runs: list[Run], progress: Progress) -> None:
    """Land what all days need, in one pass."""
    one = runs[0]
    land(one.spec, one.home, one.landing_start, runs[-1].as_of, data=one.data, progress=progress)


def build_all(runs: list[Run]) -> BuildResult:
    """Build the tables of all days with at most one dbt invocation; return what was built.

    Raises:
        BuildError: dbt failed.
    """
    one = runs[0]
    need = needed_by(one.spec, one.home, [run.as_of for run in runs], one.data)
    with atomic_dir(one.home.root / "backfills" / one.spec.name / "build") as folder:
        result = BuildResult.of(build(one.spec, one.home, need, folder))
        result.write(folder / "result.json")
    return result


def run_days(
    runs: list[Run], days: list[BackfillDay], parallel: int, tick: Callable[[dict[date, str], list[BackfillDay]], None]
) -> list[BackfillDay]:
    """Run what is to be run, `parallel` days at a time, and return what became of every day.

    Args:
        runs: one of each day.
        days: what is to be done about them.
        parallel: processes.
        tick: called now and then with the step that each running day is at, and the days that have ended.

    Raises:
        MatineeError: a process was killed; what had ended stays, the same command goes on from there.
    """
    by_day = {run.as_of: run for run in runs}
    waiting = [day for day in days if not day.done]
    ended = {day.as_of: day for day in days if day.done}
    workers = ProcessPoolExecutor(
        parallel, mp_context=multiprocessing.get_context("spawn"), initializer=_share_the_cores, initargs=(parallel,)
    )
    try:
        for finished in _drive(workers, by_day, waiting, lambda busy: tick(busy, list(ended.values()))):
            ended[finished.as_of] = finished
        tick({}, list(ended.values()))
    except BrokenProcessPool:
        raise MatineeError(
            f"{runs[0].spec.name}: a process of the backfill was killed (by the system, if memory ran out); "
            "what had ended is kept. Run the same command again, with a smaller --parallel if it was memory"
        ) from None
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
    return [ended[day.as_of] for day in days]


def _drive(
    workers: ProcessPoolExecutor,
    runs: dict[date, Run],
    waiting: list[BackfillDay],
    busy: Callable[[dict[date, str]], None],
) -> Iterator[BackfillDay]:
    """Yield days as they end. With a gate against the champion, days are judged one after another."""
    in_order = bool(waiting) and has_champion_gate(runs[waiting[0].as_of].spec)
    training: dict[Future[BackfillDay], date] = {}
    judging: dict[Future[BackfillDay], date] = {}
    trained: dict[date, BackfillDay] = {}
    for day in waiting:
        training[workers.submit(run_day, runs[day.as_of], day, in_order)] = day.as_of
    to_judge = [day.as_of for day in waiting] if in_order else []
    while training or judging or to_judge:
        if to_judge and not judging and to_judge[0] in trained:
            day = trained.pop(to_judge.pop(0))
            if day.state == "failed":
                yield day
            else:
                judging[workers.submit(judge_day, runs[day.as_of], day)] = day.as_of
            continue
        done, _ = wait([*training, *judging], timeout=0.3, return_when=FIRST_COMPLETED)
        busy({day: _at(runs[day]) for future, day in [*training.items(), *judging.items()] if future.running()})
        for future in done:
            ended = future.result()
            if training.pop(future, None) is not None and in_order:
                trained[ended.as_of] = ended
                continue
            judging.pop(future, None)
            yield ended


def _at(run: Run) -> str:
    """Return the step that a running day is at: the one behind those that have results."""
    order = [step.name for step in WITH_RESULT]
    finished = [number for number, name in enumerate(order) if _has_result(run.step_dir(name))]
    return order[min(max(finished, default=-1) + 1, len(order) - 1)]


def _has_result(folder: Path) -> bool:
    return (folder / "result.json").exists() or any(folder.glob("*/result.json"))


def _share_the_cores(parallel: int) -> None:
    threads = int(os.environ.get("MATINEE_THREADS", "2"))
    os.environ["MATINEE_THREADS"] = str(max(1, threads // parallel))


def run_day(run: Run, day: BackfillDay, stop_before_judging: bool) -> BackfillDay:
    """Run a day's steps, to the end or up to where it is judged, and write its report unless more steps follow."""
    shutil.rmtree(run.dir, ignore_errors=True)  # of a backfill that was stopped
    chosen = [name for name in sequence() if not (stop_before_judging and name in JUDGING)]
    return _run_steps(run, day, chosen, last=not stop_before_judging)


def judge_day(run: Run, day: BackfillDay) -> BackfillDay:
    """Run the steps that judge a trained day."""
    return _run_steps(run, day, list(JUDGING), last=True)


def _run_steps(run: Run, day: BackfillDay, names: list[str], *, last: bool) -> BackfillDay:
    from tasks.operations.run_all import report_quietly
    from tasks.runs.failures import call_step

    began, state, detail = time.monotonic(), "trained", ""
    functions = sequence()
    try:
        for name in names:
            call_step(run, name, functions[name])
    except GateFailed as error:
        state, detail = "refused", str(error)
    except MatineeError as error:
        state, detail = "failed", str(error)
    if last or state != "trained":
        report_quietly(run)
        state = "published" if state == "trained" else state
    return replace(day, state=state, detail=detail, seconds=(day.seconds or 0.0) + time.monotonic() - began)
