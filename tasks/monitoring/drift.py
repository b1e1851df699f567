"""Drift: how far a distribution has shifted, how far noise alone would shift it, and what to call that.

Two statistics: the population stability index over the reference's deciles (PSI, Siddiqi 2006), and the largest
distance of the distribution functions (KS, Kolmogorov 1933, Smirnov 1939). A level needs both: more than noise, and
more than a bound on the size of the effect, so that big data does not alarm by itself. Where noise reaches so far that
a drift could not be distinguished from it, the level is `too_few`, so that small data does not hide.

Rows are not independent: the unit is the user, the item or the list that a feature belongs to (docs/drift.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Literal

from pydantic import AliasChoices, ConfigDict, Field

from tasks.checks.profile_columns import shown
from tasks.checks.verdicts import Check
from tasks.monitoring.distributions import Bin, Shape, Side
from tasks.store.records import Record

ALPHA = 0.01
"""Chance of any alarm in a run in which nothing has changed, over all features and both statistics (Bonferroni)."""
PSI_SHIFTED, PSI_DRIFTED = 0.10, 0.25
"""Bounds in common use (Siddiqi 2006): below the first nothing happened, above the second look before trusting."""
KS_SHIFTED, KS_DRIFTED = 0.125, 0.20
"""The same for a normal distribution that shifts: PSI is about d² and KS is 2Φ(d/2) - 1, d in standard deviations."""
RATE_SHIFTED, RATE_DRIFTED = 1.25, 1.5
"""The label rate over that of the reference, or the other way round."""
LABEL, SCORE = "label", "model score"
Level = Literal["stable", "too_few", "warming_up", "shifted", "drifted"]
LEVELS: tuple[Level, ...] = ("stable", "too_few", "warming_up", "shifted", "drifted")
"""From good to bad."""
FILE = "drift.json"
UNIT_WORDS = {"user_id": "users", "item_id": "items", "group_id": "lists"}
SUITE = "monitor"
WHY = "A model ranks badly what it was not trained on."
NEXT = "see docs/runbooks/drift-or-skew.md."


class DriftRecord(Record):
    """How far one distribution has shifted."""

    feature: str
    psi: float
    psi_noise_bound: float
    """What noise alone exceeds once in (tests of the run) / `ALPHA` comparisons."""
    ks: float
    ks_noise_bound: float
    level: Level
    unit: str
    """What counts as independent: users, items or lists."""
    sentence: str
    note: str | None
    """Why nothing can be said, where that is so."""


class FeatureDrift(DriftRecord):
    """The same of a feature or of the scores, with both distributions."""

    bins: tuple[Bin, ...]


class ComparedExamples(Record):
    """One side of the comparison: its cuts, rows and lists."""

    # `from` is a keyword in Python, and a key on disk.
    model_config = ConfigDict(serialize_by_alias=True)

    first: date = Field(validation_alias=AliasChoices("from", "first"), serialization_alias="from")
    last: date = Field(validation_alias=AliasChoices("to", "last"), serialization_alias="to")
    rows: int
    groups: int


class ReferenceExamples(ComparedExamples):
    """What is compared with."""

    kind: Literal["train", "same_weekday"]


class CurrentExamples(ComparedExamples):
    """What is compared: the part on which the model is evaluated."""

    part: str


class LabelRate(Record):
    """Share of positive examples of a cut, weighted back to the population."""

    cut: date
    part: str
    rows: int
    groups: int
    rate: float


class Drift(Record):
    """What `drift.json` says; without sides where nothing could be compared."""

    reference: ReferenceExamples | None = None
    current: CurrentExamples | None = None
    features: tuple[FeatureDrift, ...] = ()
    """The largest PSI first."""
    label: DriftRecord | None = None
    scores: FeatureDrift | None = None
    label_rate: tuple[LabelRate, ...] = ()
    problem: str | None = None

    @property
    def compared(self) -> tuple[DriftRecord, ...]:
        """Everything that was compared."""
        return (*self.features, *(record for record in (self.label, self.scores) if record))


@dataclass(frozen=True)
class NoiseBounds:
    """The PSI and the KS distance that noise alone rarely exceeds."""

    psi: float
    ks: float


@dataclass(frozen=True)
class DriftTest:
    """What two samples are compared by."""

    sides: tuple[Side, Side]
    tests: int
    """Tests made in the run; alpha is shared out among them."""

    def units(self, unit: str) -> tuple[float, float]:
        """The effective numbers of users, items or lists of reference and current."""
        return self.sides[0].units[unit], self.sides[1].units[unit]

    def noise(self, unit: str, bins: int) -> NoiseBounds:
        """What noise alone exceeds once in `tests / ALPHA` comparisons.

        With n and m units, PSI / (1/n + 1/m) is about chi-squared with `bins - 1` degrees of freedom (Yurdakul
        2018), whose mean makes the well-known (bins - 1)(1/n + 1/m); KS exceeds c with probability
        2 exp(-2 c² / (1/n + 1/m)) at most, about (Smirnov 1939).
        """
        from scipy.special import chdtri

        spread = sum(1 / count for count in self.units(unit))
        alpha = ALPHA / self.tests
        # chdtri, not stats.chi2: importing scipy.stats takes longer than the whole comparison
        psi = float(chdtri(max(bins - 1, 1), alpha)) * spread
        return NoiseBounds(psi, math.sqrt(-math.log(alpha / 2) / 2 * spread))

    def test(self, name: str, shape: Shape, unit: str, *, warming_up: bool = False) -> FeatureDrift:
        """Compare a feature."""
        psi, noise = shape.psi(self.units(unit)), self.noise(unit, len(shape.reference))
        level: Level = "warming_up" if warming_up else level_of(psi, shape.ks, noise)
        return FeatureDrift(
            feature=name,
            psi=round(psi, 9),
            psi_noise_bound=round(noise.psi, 9),
            ks=shape.ks,
            ks_noise_bound=round(noise.ks, 9),
            level=level,
            unit=UNIT_WORDS[unit],
            sentence=what_shifted(shape),
            note=_note(level, unit, self.units(unit), noise),
            bins=shape.bins(),
        )

    def label(self, shape: Shape, rates: tuple[float, float]) -> DriftRecord:
        """Compare the grades; their level also follows the share of positive examples.

        Positives are rare, so that a rate that doubles hardly moves a distribution: it is compared as a ratio.
        """
        grades = self.test(LABEL, shape, "group_id")
        before, after = rates
        # Under the hypothesis of no change, both sides share the reference's rate and therefore its variance.
        spread = math.sqrt(before * (1 - before) * sum(1 / count for count in self.units("group_id")))
        # Two-sided: a rate may rise or fall.
        beyond_noise = abs(after - before) > NormalDist().inv_cdf(1 - ALPHA / self.tests / 2) * spread
        # From none to some, or back, exceeds every bound.
        ratio = max(after, before) / min(after, before) if min(after, before) > 0 else math.inf
        by_rate: Level = "drifted" if ratio >= RATE_DRIFTED else "shifted" if ratio >= RATE_SHIFTED else "stable"
        level = max(grades.level, by_rate if beyond_noise else "stable", key=LEVELS.index)
        sentence = f"positive examples {shown(before, rate=True)} -> {shown(after, rate=True)}"
        # Without bins: five grades make no histogram worth a look.
        return DriftRecord.model_validate({**grades.model_dump(exclude={"bins"}), "level": level, "sentence": sentence})


def level_of(psi: float, ks: float, noise: NoiseBounds) -> Level:
    """Name a distance: `stable`, `shifted`, `drifted`, or `too_few` where noise alone could make a drift."""
    if psi >= max(PSI_DRIFTED, noise.psi) or ks >= max(KS_DRIFTED, noise.ks):
        return "drifted"
    if psi >= max(PSI_SHIFTED, noise.psi) or ks >= max(KS_SHIFTED, noise.ks):
        return "shifted"
    # Only if neither statistic could tell; one that can is enough.
    return "too_few" if noise.psi > PSI_DRIFTED and noise.ks > KS_DRIFTED else "stable"


def what_shifted(shape: Shape) -> str:
    """Say in one phrase what a distribution did: its median, or a share where the median stays."""
    before, after = shape.medians
    if before != after:
        return f"median {shown(before)} -> {shown(after)}"
    above = [shown(1 - share, rate=True) for share in shape.below]
    return f"share above {shown(shape.at)}: {above[0]} -> {above[1]}"


def _note(level: Level, unit: str, units: tuple[float, float], noise: NoiseBounds) -> str | None:
    if level == "warming_up":
        return "its window is longer than the history before the reference's first cut, so it grows by itself"
    if level == "too_few":
        return (
            f"too few {UNIT_WORDS[unit]} to tell: with {units[0]:.0f} and {units[1]:.0f} independent ones, "
            f"noise alone reaches a PSI of {noise.psi:.2f} and a KS distance of {noise.ks:.2f}"
        )
    return None


@dataclass(frozen=True)
class DriftContext:
    """What decides whether a drift warns somebody.

    Attributes:
        day: day of the run.
        place: the examples.
        acknowledged: why a drift is acknowledged in the pipeline file, by feature.
        again: whether the run of the day before compared the same examples: then a drift is no news, and warns nobody.
    """

    day: date
    place: Path
    acknowledged: Mapping[str, str]
    again: bool


def drift_checks(records: Sequence[DriftRecord], context: DriftContext) -> list[Check]:
    """Records of drift in the form of all checks: one that warns of the features together, and one each."""
    # Label and scores have their own warnings (`_check`).
    expected_by_all = {*context.acknowledged, LABEL, SCORE}
    news = [r for r in records if r.level == "drifted" and r.feature not in expected_by_all and not context.again]
    features = Check(
        suite=SUITE,
        table="examples",
        type="psi_and_ks",
        column="features__drift",
        severity="warning",
        success=not news,
        observed="; ".join(f"{record.feature}: {record.sentence}" for record in news) or "nothing new",
        expected="no feature that drifts, unless the pipeline file acknowledges it",
        why=WHY,
        next=NEXT,
        day=context.day.isoformat(),
        place=str(context.place),
        line="features",
    )
    return [features, *(_check(record, context) for record in records)]


def _check(record: DriftRecord, context: DriftContext) -> Check:
    acknowledged = context.acknowledged.get(record.feature)
    why = WHY if acknowledged is None else f"Acknowledged in the pipeline file: {acknowledged}"
    if context.again and record.level == "drifted":
        why += " The day before compared the same examples."
    warns_alone = record.level == "drifted" and record.feature in (LABEL, SCORE) and not context.again
    least_psi, least_ks = max(PSI_SHIFTED, record.psi_noise_bound), max(KS_SHIFTED, record.ks_noise_bound)
    of_scores = record.feature == SCORE
    return Check(
        suite=SUITE,
        table="predictions" if of_scores else "examples",
        type="psi_and_ks",
        column=f"{record.feature.replace(' ', '_')}__drift",
        # Features share one warning, above; a failed check of severity `info` is shown but alerts nobody.
        severity="warning" if warns_alone else "info",
        success=record.level not in ("shifted", "drifted"),
        observed=f"{record.sentence} (PSI {record.psi:.2f}, KS {record.ks:.2f}; {record.level.replace('_', ' ')})",
        expected=f"a PSI below {least_psi:.2f} and a KS distance below {least_ks:.2f}",
        why=why,
        next=NEXT,
        day=context.day.isoformat(),
        place=str(context.place),
        line="predictions" if of_scores else "features",
    )
