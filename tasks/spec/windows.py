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
    return tuple(map(_day, _cuts_between(spec, first, last)))


def _cuts_between(spec: Spec, first: date, last: date) -> range:
    """Number the cuts in [first, last] by their ordinals: without listing them, as windows may be decades long."""
    first = max(first, spec.start)
    every, anchor = 1, first
    if isinstance(spec.examples, SnapshotExamples):
        every, anchor = spec.examples.every, spec.examples.anchor or spec.start
    # In Python -3 % 10 is 7: an anchor before `first` gives the next day of its calendar, too.
    begin = first.toordinal() + (anchor - first).days % every
    return range(begin, last.toordinal() + 1, every)


@dataclass(frozen=True)
class _Spans:
    """The cuts of one run as ranges of ordinals."""

    train: range
    validation: range
    test: range

    def filled(self, spec: Spec) -> bool:
        """Whether every window that the spec asks for has a cut."""
        return bool(self.train and self.test and (self.validation or not spec.examples.validation))


def windows(spec: Spec, as_of: date) -> Windows:
    """Choose the cuts that a run for `as_of` uses.

    Raises:
        SpecError: the history before `as_of` is too short; names the first day that is possible.
    """
    spans = _spans(spec, as_of)
    # A window that begins before there are data has cuts enough to pass for a whole one.
    if not _whole(spec, spans):
        raise SpecError(
            f"pipeline {spec.name!r} has too little history for {as_of}: the first day that can be run is "
            f"{first_as_of(spec)} ({why_first(spec)}); run that day or a later one, or shorten `examples`"
        )
    refit = _cuts_between(spec, _day(spans.train[0]), as_of - spec.lag)
    days = [tuple(map(_day, span)) for span in (spans.train, spans.validation, spans.test, refit)]
    return Windows(*days)


def _spans(spec: Spec, as_of: date) -> _Spans:
    last = as_of - spec.lag
    test = _ending(spec, last, spec.examples.test)
    validation = _ending(spec, _embargo(spec, test, last), spec.examples.validation)
    # Without a validation window, training ends one embargo before the test.
    train = _ending(spec, _embargo(spec, validation or test, last), spec.examples.train)
    return _Spans(train, validation, test)


def _ending(spec: Spec, last: date, days: int) -> range:
    return _cuts_between(spec, last - timedelta(days=days) + DAY, last) if days else range(0)


def _embargo(spec: Spec, later: range, last: date) -> date:
    return (_day(later[0]) if later else last) - spec.lag


def last_whole_day() -> date:
    """Give the last day that is over in UTC: data of a later one can't be complete."""
    return datetime.now(UTC).date() - timedelta(days=1)


def first_as_of(spec: Spec) -> date:
    """Find the first day on which every window is filled from the start, after a week of warm-up.

    Raises:
        SpecError: no day is, because the windows are shorter than the calendar's steps.
    """
    days = spec.examples.train + spec.examples.validation + spec.examples.test
    every = spec.examples.every if isinstance(spec.examples, SnapshotExamples) else 1
    # No earlier day has room for them: the embargoes lie between the windows and behind the last one.
    begin = max(days, spec.examples.train + 2 * spec.lag.days + WARM_UP.days - 1)
    # Bounded, because windows shorter than the steps between cuts are never filled: once there is room for all of
    # them, the days of one more step are like those of any other.
    for n in range(begin, days + 3 * spec.lag.days + WARM_UP.days + 4 * every):
        day = spec.start + timedelta(days=n)
        spans = _spans(spec, day)
        if _whole(spec, spans):
            return day
    raise SpecError(
        f"pipeline {spec.name!r}: no day gives every window of `examples` a cut; make them longer than `every`"
    )


def _whole(spec: Spec, spans: _Spans) -> bool:
    return spans.filled(spec) and _window_start(spec, spans) >= spec.start + WARM_UP


def why_first(spec: Spec) -> str:
    """Say what the days from the start to the first as-of day are needed for.

    Raises:
        SpecError: no day fills the windows.
    """
    spans = _spans(spec, first_as_of(spec))
    held_out = [(name, span) for name, span in (("validation", spans.validation), ("test", spans.test)) if span]
    named = [("train", _window_start(spec, spans), spans.train[-1]), *((n, _day(s[0]), s[-1]) for n, s in held_out)]
    listed = [f"{name} {first} … {_day(last)}" for name, first, last in named]
    return (
        f"{WARM_UP.days} days of warm-up from {spec.start}, {', '.join(listed)}, and {spec.lag.days} days until the "
        f"last labels are complete: horizon {spec.label.horizon}d, lateness {spec.label.lateness}d"
    )


def _day(ordinal: int) -> date:
    return date.fromordinal(ordinal)


def _window_start(spec: Spec, spans: _Spans) -> date:
    # The window's first day, not its first cut, which for snapshots may be days later.
    later = _day((spans.validation or spans.test)[0])
    return later - spec.lag - timedelta(days=spec.examples.train) + DAY


def oldest_cut(spec: Spec) -> timedelta:
    """How long before its as-of day a run's oldest cut can be, once the windows are filled.

    Raises:
        SpecError: no day fills the windows.
    """
    every = spec.examples.every if isinstance(spec.examples, SnapshotExamples) else 1
    # The cuts of a calendar fall on other days before each day of one step; then it begins anew.
    days = [first_as_of(spec) + timedelta(days=n) for n in range(every)]
    spans = [(day, _spans(spec, day)) for day in days]
    return max(day - _day(span.train[0]) for day, span in spans if span.train)


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


def tuning_day(spec: Spec, as_of: date) -> date:
    """The day as of which settings are chosen for a run: with `tune.retune` the last one of its calendar.

    A function of the day alone, whichever days were run before; before the calendar's first day that can be run it is
    that one.
    """
    if spec.tune is None or spec.tune.retune is None:
        return as_of
    return max(first_as_of(spec), as_of - timedelta(days=(as_of - spec.start).days % spec.tune.retune))


def landing_start(spec: Spec, as_of: date) -> date:
    """Find the first landed day on which anything of the run for `as_of` can depend."""
    # Plus a day, because windows are open at the start: a feature as of C counts the days (C - 365, C].
    return max(spec.start, windows(spec, tuning_day(spec, as_of)).first - lookback(spec) + DAY)
