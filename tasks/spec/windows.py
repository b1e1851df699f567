"""Which cuts a run for a day trains, validates and tests on.

All days are UTC calendar days; windows are closed at both ends. With H the label horizon and L the lateness, an
example of cut `C` is complete, and may be used, from day `C+H+L` on. The windows end at the last cut that is
complete as of `D`; between two windows lies an embargo, so that every example of the earlier one was complete
on the day of the first cut of the later one: the test is the future of a model that could have existed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tasks.errors import SpecError
from tasks.spec.parts import SnapshotExamples
from tasks.spec.spec import Spec

# No mart looks further back (ADR 2); `longest` in transforms/macros/trailing.sql is the same number.
LONGEST_FEATURE_WINDOW = timedelta(days=365)
WARM_UP = timedelta(days=7)
EVER = timedelta(days=100 * 365)
"""Further back than any pipeline's start that has data."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Windows:
    """The cuts of one run, each tuple in order of time."""

    train: tuple[date, ...]
    validation: tuple[date, ...]
    test: tuple[date, ...]
    refit: tuple[date, ...]

    @property
    def first(self) -> date:
        """The earliest cut."""
        return self.refit[0]


def cuts_between(spec: Spec, first: date, last: date) -> tuple[date, ...]:
    """List the cuts of the spec's calendar in [first, last], none before the pipeline's start."""
    first = max(first, spec.start)
    every, anchor = 1, first
    if isinstance(spec.examples, SnapshotExamples):
        every, anchor = spec.examples.every, spec.examples.anchor or spec.start
    # In Python -3 % 10 is 7: an anchor before `first` gives the next day of its calendar, too.
    begin = first + timedelta(days=(anchor - first).days % every)
    return tuple(begin + timedelta(days=n) for n in range(0, (last - begin).days + 1, every))


def windows(spec: Spec, as_of: date) -> Windows:
    """Choose the cuts that a run for `as_of` uses.

    Raises:
        SpecError: the history before `as_of` is too short; names the first day that is possible.
    """
    cuts = _windows(spec, as_of)
    if not (cuts.train and cuts.test) or (spec.examples.validation and not cuts.validation):
        raise SpecError(
            f"pipeline {spec.name!r} has too little history for {as_of}: the first day that can be run is "
            f"{first_as_of(spec)} ({why_first(spec)}); run that day or a later one, or shorten `examples`"
        )
    return cuts


def _windows(spec: Spec, as_of: date) -> Windows:
    last = as_of - spec.lag
    test = _ending(spec, last, spec.examples.test)
    validation = _ending(spec, _embargo(spec, test, last), spec.examples.validation)
    # Without a validation window, training ends one embargo before the test.
    train = _ending(spec, _embargo(spec, validation or test, last), spec.examples.train)
    refit = cuts_between(spec, train[0], last) if train else ()
    return Windows(train, validation, test, refit)


def _ending(spec: Spec, last: date, days: int) -> tuple[date, ...]:
    return cuts_between(spec, last - timedelta(days=days) + DAY, last) if days else ()


def _embargo(spec: Spec, later: tuple[date, ...], last: date) -> date:
    return (later[0] if later else last) - spec.lag


def last_whole_day() -> date:
    """Give the last day that is over in UTC: data of a later one can't be complete."""
    return datetime.now(UTC).date() - timedelta(days=1)


def first_as_of(spec: Spec) -> date:
    """Find the first day on which every window is filled from the start, after a week of warm-up.

    Raises:
        SpecError: no day is, because the windows are shorter than the calendar's steps.
    """
    spans = spec.examples.train + spec.examples.validation + spec.examples.test
    # Bounded, because windows shorter than the steps between cuts are never filled.
    for n in range(spans, 4 * spans + 10 * (spec.lag.days + 1)):
        day = spec.start + timedelta(days=n)
        cuts = _windows(spec, day)
        ready = cuts.train and cuts.test and (cuts.validation or not spec.examples.validation)
        if ready and _window_start(spec, cuts) >= spec.start + WARM_UP:
            return day
    raise SpecError(
        f"pipeline {spec.name!r}: no day gives every window of `examples` a cut; make them longer than `every`"
    )


def why_first(spec: Spec) -> str:
    """Say what the days from the start to the first as-of day are needed for.

    Raises:
        SpecError: no day fills the windows.
    """
    cuts = _windows(spec, first_as_of(spec))
    train = (_window_start(spec, cuts), cuts.train[-1])
    named = [("train", train), *((name, (had[0], had[-1])) for name, had in _held_out(cuts) if had)]
    spans = [f"{name} {first} … {last}" for name, (first, last) in named]
    return (
        f"{WARM_UP.days} days of warm-up from {spec.start}, {', '.join(spans)}, and {spec.lag.days} days until the "
        f"last labels are complete: horizon {spec.label.horizon}d, lateness {spec.label.lateness}d"
    )


def _held_out(cuts: Windows) -> tuple[tuple[str, tuple[date, ...]], ...]:
    return ("validation", cuts.validation), ("test", cuts.test)


def _window_start(spec: Spec, cuts: Windows) -> date:
    # The window's first day, not its first cut, which for snapshots may be days later.
    later = (cuts.validation or cuts.test)[0]
    return later - spec.lag - timedelta(days=spec.examples.train) + DAY


def lookback(spec: Spec) -> timedelta:
    """How far back of a cut anything that is made for it looks.

    The item models of a cut were fitted up to `refit - 1` days before it, on the longest window before that day. With a
    rule for what users have seen, a list depends on their whole past.
    """
    if spec.candidates.seen != "keep":
        return EVER
    # Popularity and history are not fitted; they are as of the cut itself.
    refits = [getattr(part, "refit", 1) for part in spec.retrieval]
    return LONGEST_FEATURE_WINDOW + timedelta(days=max(refits, default=1) - 1)


def labels_lookback(spec: Spec) -> timedelta:
    """How far back of a cut its labels look: not at all, unless a rule asks for the pair's past."""
    return LONGEST_FEATURE_WINDOW if spec.label.looks_back else timedelta(0)


def landing_start(spec: Spec, as_of: date) -> date:
    """Find the first landed day on which anything of the run for `as_of` can depend."""
    # Plus a day, because windows are open at the start: a feature as of C counts the days (C - 365, C].
    return max(spec.start, windows(spec, as_of).first - lookback(spec) + DAY)
