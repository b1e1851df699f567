"""Run a range of days without a scheduler: land and build it once, then train its days side by side.

Finished days are skipped, so a stopped backfill continues where it was: a day is finished when the version that it
would make of today's landing is published, or has failed a gate. Gates against the champion are evaluated in the order
of days, whatever the order in which models get trained.
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
from enum import StrEnum
from typing import TYPE_CHECKING

from tasks.errors import GateFailed, MatineeError, SpecError
from tasks.evaluation.champion import champion_before, champion_by_day, has_champion_gate, outdated_verdicts
from tasks.features.build import BuildResult, build, code_of_tables, ledger_of, needed, needed_by
from tasks.features.ledger import BuildPlan, plan_build
from tasks.operations.plan import placeholders
from tasks.operations.progress import current_step
from tasks.publishing.publish import version_of
from tasks.publishing.results import GateResult
from tasks.runs.step_log import log_in_worker
from tasks.runs.steps import STEPS, sequence
from tasks.sources.land import Progress, land, open_source, unlanded
from tasks.spec.windows import first_as_of, last_whole_day
from tasks.store.atomic import atomic_dir, locked
from tasks.store.settings import THREADS, threads

if TYPE_CHECKING:
    from tasks.runs.run import Run
    from tasks.spec.spec import Spec
    from tasks.store.files import Home

ATTEMPT = "backfill"
DAY = timedelta(days=1)
CHAMPION_STEPS = tuple(step.name for step in STEPS if step.needs_champion)
"""Steps that compare with the champion: with a gate against it they wait for the days before."""


class DayState(StrEnum):
    """What is to be done about a day; then what became of it."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    """Published, but compared with another champion than the timeline has before it now."""
    TRAINED = "trained"
    PUBLISHED = "published"
    GATE_FAILED = "gate failed"
    FAILED = "failed"


@dataclass(frozen=True)
class BackfillDay:
    """One day of a backfill, and what is to be done about it.

    Attributes:
        as_of: the day.
        version: what a run makes of the landing as it is; None before its days are landed.
        state: what is to be done, or what became of it.
        detail: the message of the gate or the step that failed.
        seconds: how long it took.
    """

    as_of: date
    version: str | None
    state: DayState
    detail: str = ""
    seconds: float | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing to do."""
        return self.state in {DayState.PUBLISHED, DayState.GATE_FAILED}


def days_between(spec: Spec, first: date, last: date) -> list[date]:
    """List the as-of days of a range.

    Raises:
        SpecError: the range is empty, or not covered by the pipeline.
    """
    start, until = first_as_of(spec), min(spec.end or date.max, last_whole_day())
    if first > last:
        raise SpecError(
            f"--from {first} --to {last}: the first day is after the last; expected them the other way round"
        )
    if first < start or last > until:
        raise SpecError(
            f"--from {first} --to {last}: pipeline {spec.name!r} can be run for {start} to {until}; "
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


def survey(runs: list[Run], *, again: bool = False) -> tuple[BuildPlan, list[BackfillDay]]:
    """Find what there is to build for all days, and what is to be done about each of them; nothing is written.

    Args:
        runs: one of each day, in their order.
        again: take no day as finished.
    """
    first, last = runs[0], runs[-1]
    source = open_source(first.spec, first.home, first.data)
    missing = unlanded(source, first.home, first.landing_start, last.as_of)
    need = needed_by(first.spec, first.home, [run.as_of for run in runs], first.data, unknown=placeholders(missing))
    unlanded_from = min((day for _, day in missing), default=date.max)
    champions = champion_by_day(first.home, first.spec)
    outdated = set(outdated_verdicts(first.home, first.spec))
    days = []
    for run in runs:
        if run.as_of >= unlanded_from:  # a version is named after its landing, and this one is about to change
            days.append(BackfillDay(run.as_of, None, DayState.TRAIN))
            continue
        champion = champions.get(run.as_of)
        version = None if champion is None else champion.version
        days.append(_survey_day(run, version, outdated=run.as_of in outdated, again=again))
    return plan_build(need, ledger_of(first), code_of_tables(first.spec)), days


def _survey_day(run: Run, published: str | None, *, outdated: bool, again: bool) -> BackfillDay:
    """Compare what a day would make with what it published last: a version that was overtaken since is run again."""
    version = version_of(run, needed(run))
    if again:
        return BackfillDay(run.as_of, version, DayState.TRAIN)
    if version == published:
        return BackfillDay(run.as_of, version, DayState.EVALUATE if outdated else DayState.PUBLISHED)
    failed_gates = _failed_gates(run, version)
    if failed_gates is None:
        return BackfillDay(run.as_of, version, DayState.TRAIN)
    return BackfillDay(run.as_of, version, DayState.GATE_FAILED, failed_gates)


def _failed_gates(run: Run, version: str) -> str | None:
    """Quote the gates that a version failed in some attempt; None if it failed none, or would be compared anew."""
    for path in sorted(run.home.runs(run.spec.name, run.as_of).glob("*/gate/result.json")):
        result = GateResult.read(path)
        if result.version == version and not result.passed:
            if has_champion_gate(run.spec) and result.champion != champion_before(run):  # stale: against another rival
                continue
            return "; ".join(str(verdict) for verdict in result.gates if not verdict.passed)
    return None


def land_all(runs: list[Run], progress: Progress) -> None:
    """Land what all days need, in one pass."""
    first, last = runs[0], runs[-1]
    land(first.spec, first.home, first.landing_start, last.as_of, data=first.data, progress=progress)


def build_all(runs: list[Run]) -> BuildResult:
    """Build the tables of all days with at most one dbt invocation, and say what was built.

    Raises:
        BuildError: dbt failed.
    """
    first = runs[0]
    need = needed_by(first.spec, first.home, [run.as_of for run in runs], first.data)
    with atomic_dir(first.home.root / "backfills" / first.spec.name / "build") as folder:
        result = BuildResult.of(build(first.spec, first.home, need, folder))
        result.write(folder / "result.json")
    return result


def run_days(
    runs: list[Run], days: list[BackfillDay], parallel: int, tick: Callable[[dict[date, str], list[BackfillDay]], None]
) -> list[BackfillDay]:
    """Run what is to be run, `parallel` days at a time, and say what became of every day.

    Args:
        runs: one of each day.
        days: what is to be done about them.
        parallel: processes.
        tick: called now and then with the step that each running day is at, and the days that have ended.

    Raises:
        MatineeError: a process was killed; finished days are kept, and the same command continues.
    """
    by_day = {run.as_of: run for run in runs}
    waiting = [day for day in days if not day.done]
    ended = {day.as_of: day for day in days if day.done}
    # Fresh processes: a forked one would inherit locks of this one's threads in whatever state they are.
    workers = ProcessPoolExecutor(
        parallel, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker, initargs=(parallel,)
    )
    try:
        for finished in _run_queue(workers, by_day, waiting, lambda busy: tick(busy, list(ended.values()))):
            ended[finished.as_of] = finished
        tick({}, list(ended.values()))
    except BrokenProcessPool:
        raise MatineeError(
            f"{runs[0].spec.name}: a process of the backfill was killed (by the system, if memory ran out); "
            "finished days are kept. Run the same command again, with a smaller --parallel if memory ran out"
        ) from None
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
    return [ended[day.as_of] for day in days]


def _run_queue(
    workers: ProcessPoolExecutor,
    runs: dict[date, Run],
    waiting: list[BackfillDay],
    busy: Callable[[dict[date, str]], None],
) -> Iterator[BackfillDay]:
    """Yield days as they end. With a gate against the champion, days are evaluated one after another."""
    in_order = bool(waiting) and has_champion_gate(runs[waiting[0].as_of].spec)
    training: dict[Future[BackfillDay], date] = {}
    evaluating: dict[Future[BackfillDay], date] = {}
    trained: dict[date, BackfillDay] = {}
    for day in waiting:
        training[workers.submit(run_day, runs[day.as_of], day, in_order)] = day.as_of
    to_evaluate = [day.as_of for day in waiting] if in_order else []
    while training or evaluating or to_evaluate:
        if to_evaluate and not evaluating and to_evaluate[0] in trained:
            day = trained.pop(to_evaluate.pop(0))
            if day.state is DayState.FAILED:
                yield day
            else:
                evaluating[workers.submit(evaluate_day, runs[day.as_of], day)] = day.as_of
            continue
        done, _ = wait([*training, *evaluating], timeout=0.3, return_when=FIRST_COMPLETED)  # else no progress is drawn
        running = [day for future, day in [*training.items(), *evaluating.items()] if future.running()]
        busy({day: current_step(runs[day]) for day in running})
        for future in done:
            ended = future.result()
            if training.pop(future, None) is not None and in_order:
                trained[ended.as_of] = ended
                continue
            evaluating.pop(future, None)
            yield ended


def _prepare_worker(parallel: int) -> None:
    log_in_worker()
    _share_the_cores(parallel)


def _share_the_cores(parallel: int) -> None:
    # More threads than cores make all trainings slower than one after another.
    os.environ[THREADS] = str(max(1, threads() // parallel))


def run_day(run: Run, day: BackfillDay, train_only: bool) -> BackfillDay:
    """Run a day's steps, to the end or up to its evaluation, and write its report unless more steps follow."""
    shutil.rmtree(run.dir, ignore_errors=True)  # what a stopped backfill left of the day
    names = [name for name in sequence() if not (train_only and name in CHAMPION_STEPS)]
    return _run_steps(run, day, names, last=not train_only)


def evaluate_day(run: Run, day: BackfillDay) -> BackfillDay:
    """Run the steps that compare a trained day with the champion, and publish it."""
    return _run_steps(run, day, list(CHAMPION_STEPS), last=True)


def _run_steps(run: Run, day: BackfillDay, names: list[str], *, last: bool) -> BackfillDay:
    from tasks.operations.run_all import report_quietly
    from tasks.runs.failures import call_step

    started, state, detail = time.monotonic(), DayState.TRAINED, ""
    functions = sequence()
    try:
        for name in names:
            call_step(run, name, functions[name])
    except GateFailed as error:
        state, detail = DayState.GATE_FAILED, str(error)
    except MatineeError as error:  # anything else is a bug, and ends the backfill
        state, detail = DayState.FAILED, str(error)
    if last or state is not DayState.TRAINED:
        report_quietly(run)
        state = DayState.PUBLISHED if state is DayState.TRAINED else state
    return replace(day, state=state, detail=detail, seconds=(day.seconds or 0.0) + time.monotonic() - started)
