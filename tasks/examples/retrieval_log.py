"""What the step `retrieve` says: which models it fitted, how many candidates there are, and which lists are short."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from tasks.runs.narration import say, warn

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tasks.examples.retrieval_models import Past
    from tasks.spec.spec import Spec


@dataclass
class Fits:
    """The fits of one retrieval model.

    Attributes:
        days: refit days that it was fitted as of.
        seconds: that took.
        last: what the last of them learned from.
    """

    days: list[date] = field(default_factory=list)
    seconds: float = 0.0
    last: Past | None = None


@dataclass
class Short:
    """Users with fewer candidates than each retriever alone should find.

    Attributes:
        users: of all cuts.
        short: those of them with too few.
        fewest: of a user, and the cut of it.
    """

    users: int = 0
    short: int = 0
    fewest: tuple[int, date] | None = None


@dataclass
class RetrievalTally:
    """Counts over all cuts of a run; a line for each cut would be too many."""

    spec: Spec
    fits: dict[str, Fits] = field(default_factory=dict)
    rows: int = 0
    cuts: int = 0
    unknown: int = 0
    """Items that were shown, but were not known as of the cut."""
    lists: Short = field(default_factory=Short)

    def fitted(self, model: str, as_of: date, past: Past, seconds: float) -> None:
        """Note a fit."""
        fits = self.fits.setdefault(model, Fits())
        fits.days.append(as_of)
        fits.seconds += seconds
        fits.last = past

    def wrote(self, rows: int) -> None:
        """Note the candidates of a cut."""
        self.rows += rows
        self.cuts += 1

    def retrieved(self, cut: date, lengths: npt.NDArray[np.int64]) -> None:
        """Note how many candidates each active user of a cut has."""
        self.lists.users += len(lengths)
        self.lists.short += int((lengths < self.least).sum())
        if len(lengths) and (self.lists.fewest is None or lengths.min() < self.lists.fewest[0]):
            self.lists.fewest = int(lengths.min()), cut

    @property
    def least(self) -> int:
        """Candidates that the shortest of the retrievers' lists should have."""
        return min(part.k for part in self.spec.retrieval)

    def say(self) -> None:
        """Log what was counted."""
        for model, fits in self.fits.items():
            _say_fits(model, fits)
        if self.cuts:
            say("{rows:,} candidates of {cuts:,} cuts written", rows=self.rows, cuts=self.cuts)
        if self.unknown:
            say(
                "{items:,} items that were shown are left out: as of the cut before, they were not known",
                items=self.unknown,
            )
        if self.lists.short and self.lists.fewest is not None:
            warn(
                "candidate sets are short: {short:,} of {users:,} active users have fewer than {least}, the least `k` "
                "of `retrieval`; the fewest are {fewest:,}, on {cut}",
                short=self.lists.short, users=self.lists.users, least=self.least,
                fewest=self.lists.fewest[0], cut=self.lists.fewest[1],
            )  # fmt: skip


def _say_fits(model: str, fits: Fits) -> None:
    past = fits.last
    if past is None:
        return
    say(
        "{model} fitted as of {fits:,} days ({first} to {last}) in {seconds:.1f} s; the last on {users:,} users, "
        "{items:,} items and {pairs:,} pairs with an action",
        model=model, fits=len(fits.days), first=min(fits.days), last=max(fits.days), seconds=fits.seconds,
        users=len(past.users), items=len(past.items), pairs=past.pairs,
    )  # fmt: skip


def say_cuts(wanted: Iterable[date], missing: Iterable[date]) -> None:
    """Log which cuts are there from earlier runs, and which are to be made."""
    wanted, missing = list(wanted), sorted(missing)
    span = f" ({missing[0]} to {missing[-1]})" if missing else ""
    say(
        "{cuts:,} cuts are needed, {kept:,} are kept from earlier runs, {missing:,} are to be made{_span}",
        cuts=len(wanted), kept=len(wanted) - len(missing), missing=len(missing), _span=span,
    )  # fmt: skip
