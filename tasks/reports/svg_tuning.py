"""Geometry of the plots of a search: the plateau, trial beside trial, and each setting's values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tasks.tuning.choice import Tuning
    from tasks.tuning.space import Settings, Value

WIDTH, HEIGHT = 600.0, 110.0
SLICE_WIDTH, SLICE_HEIGHT = 300.0, 80.0
ROOM = 0.08
"""Share of the height that is left empty above and below."""


class TrialPoint(NamedTuple):
    """A trial: its number, settings, value and the error of its distance from the peak, and where it is drawn."""

    number: int
    settings: Settings
    value: float
    error: float
    x: float
    y: float
    low: float
    high: float
    mark: str


class SlicePoint(NamedTuple):
    """A trial in the plot of one setting: how it is marked, and its place."""

    mark: str
    x: float
    y: float


class Slice(NamedTuple):
    """The trials by the value of one setting, its values from simple to complex."""

    setting: str
    values: tuple[Value, ...]
    points: tuple[SlicePoint, ...]
    width: float = SLICE_WIDTH
    height: float = SLICE_HEIGHT


@dataclass(frozen=True)
class TuningPlot:
    """All trials, simplest first; `edge` is the height of the peak.

    Each trial's bar is one standard error of its distance from the peak: where it reaches the edge, the trial is on the
    plateau. Trials that were trained several times are drawn at the mean of their trainings.
    """

    points: tuple[TrialPoint, ...]
    slices: tuple[Slice, ...]
    edge: float
    lowest: float
    highest: float
    width: float = WIDTH
    height: float = HEIGHT


def plot_tuning(tuning: Tuning) -> TuningPlot:
    """Draw a search."""
    leaders = {leader.trial: leader for leader in tuning.leaders}
    values = [leaders[n].value if n in leaders else trial.value for n, trial in enumerate(tuning.trials)]
    errors = [leaders[n].error if n in leaders else trial.error for n, trial in enumerate(tuning.trials)]
    room = ROOM * ((max(values) - min(values)) or abs(max(values))) or ROOM
    bottom, top = min(values) - room, max(values) + room
    step = WIDTH / len(values)

    def share(value: float) -> float:
        # Of an error that leaves the axis, the end stays on its edge.
        return min(1.0, max(0.0, (top - value) / (top - bottom)))

    def mark(number: int) -> str:
        return "chosen" if number == tuning.chosen else "best" if number == tuning.peak else ""

    marks = [mark(n) for n in range(len(values))]
    order = sorted(range(len(values)), key=lambda n: (tuning.trials[n].complexity, n))
    points = tuple(
        TrialPoint(
            number=n,
            settings=tuning.trials[n].settings,
            value=values[n],
            error=errors[n],
            x=round((place + 0.5) * step, 2),
            y=round(HEIGHT * share(values[n]), 2),
            low=round(HEIGHT * share(values[n] - errors[n]), 2),
            high=round(HEIGHT * share(values[n] + errors[n]), 2),
            mark=marks[n],
        )
        for place, n in enumerate(order)
    )
    heights = [round(SLICE_HEIGHT * share(value), 2) for value in values]
    return TuningPlot(
        points=points,
        slices=tuple(_slice(tuning, name, heights, marks) for name in sorted(tuning.space)),
        edge=round(HEIGHT * share(values[tuning.peak]), 2),
        lowest=min(values),
        highest=max(values),
    )


def _slice(tuning: Tuning, setting: str, heights: Sequence[float], marks: Sequence[str]) -> Slice:
    """Draw the trials by one setting, those that are marked above the others."""
    values = tuning.space[setting]
    step = SLICE_WIDTH / len(values)
    points = [
        SlicePoint(mark, round((values.index(trial.settings[setting]) + 0.5) * step, 2), height)
        for trial, height, mark in zip(tuning.trials, heights, marks, strict=True)
    ]
    return Slice(setting, values, tuple(sorted(points, key=lambda point: point.mark != "")))
