"""Drift: how far a distribution has moved, how far chance alone would move it, and what to call that.

Two statistics: the population stability index over the reference's deciles (PSI, Siddiqi 2006), and the largest
distance of the distribution functions (KS, Kolmogorov 1933, Smirnov 1939). A level needs both: more than chance, and
more than a bound on the size of the effect, so that big data does not alarm by itself. Where chance reaches so far that
a drift could not be told from it, the level is `too_few`, so that small data does not hide.

Rows are not independent: the unit is the user, the item or the list that a feature belongs to (docs/drift.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from tasks.checks.profile_columns import shown
from tasks.checks.verdicts import Check
from tasks.monitoring.distributions import Shape, Side

ALPHA = 0.01
"""Chance of any alarm in a run in which nothing has changed, over all features and both statistics (Bonferroni)."""
PSI_MOVED, PSI_DRIFTED = 0.10, 0.25
"""Bounds in common use (Siddiqi 2006): below the first nothing happened, above the second look before trusting."""
KS_MOVED, KS_DRIFTED = 0.125, 0.20
"""The same for a normal distribution that shifts: PSI is about d² and KS is 2Φ(d/2) - 1, d in standard deviations."""
RATE_MOVED, RATE_DRIFTED = 1.25, 1.5
"""The label rate over that of the reference, or the other way round."""
LABEL, SCORE = "label", "model score"
LEVELS = ("stable", "too_few", "filling", "moved", "drifted")
UNIT_WORDS = {"user_id": "users", "item_id": "items", "group_id": "lists"}
SUITE = "monitor"
WHY = "A model ranks badly what it has not seen the like of."
NEXT = "see docs/runbooks/drift-or-skew.md."


@dataclass(frozen=True)
class DriftTest:
    """What a comparison of two samples is judged by."""

    sides: tuple[Side, Side]
    tests: int
    """Tests made in the run; alpha is shared out among them."""

    def units(self, unit: str) -> tuple[float, float]:
        """Return the effective numbers of users, items or lists of reference and current."""
        return self.sides[0].units[unit], self.sides[1].units[unit]

    def chances(self, unit: str, bins: int) -> tuple[float, float]:
        """Return the PSI and the KS distance that chance alone exceeds once in `tests / ALPHA` comparisons.

        With n and m units, PSI / (1/n + 1/m) is about chi-squared with `bins - 1` degrees of freedom (Yurdakul
        2018), whose mean makes the well-known (bins - 1)(1/n + 1/m); KS exceeds c with probability
        2 exp(-2 c² / (1/n + 1/m)) at most, about (Smirnov 1939).
        """
        from scipy.special import chdtri

        spread = sum(1 / count for count in self.units(unit))
        alpha = ALPHA / self.tests
        return float(chdtri(max(bins - 1, 1), alpha)) * spread, math.sqrt(-math.log(alpha / 2) / 2 * spread)

    def test(self, name: str, shape: Shape, unit: str, *, filling: bool = False) -> dict[str, Any]:
        """Return the record of a feature."""
        psi = shape.psi(self.units(unit))
        by_chance = self.chances(unit, len(shape.reference))
        found = "filling" if filling else level(psi, shape.ks, *by_chance)
        return {
            "feature": name,
            "psi": round(psi, 9),
            "psi_by_chance": round(by_chance[0], 9),
            "ks": shape.ks,
            "ks_by_chance": round(by_chance[1], 9),
            "level": found,
            "unit": UNIT_WORDS[unit],
            "sentence": what_moved(shape),
            "note": _note(found, unit, self.units(unit), by_chance),
            "bins": shape.bins(),
        }

    def label(self, shape: Shape, rates: tuple[float, float]) -> dict[str, Any]:
        """Return the record of the grades; their level also follows the share of positive examples.

        Positives are rare, so that a rate that doubles hardly moves a distribution: it is compared as a ratio.
        """
        record = self.test(LABEL, shape, "group_id")
        del record["bins"]
        before, after = rates
        spread = math.sqrt(before * (1 - before) * sum(1 / count for count in self.units("group_id")))
        beyond = abs(after - before) > NormalDist().inv_cdf(1 - ALPHA / self.tests / 2) * spread
        ratio = max(after, before) / min(after, before) if min(after, before) > 0 else math.inf
        by_rate = "drifted" if ratio >= RATE_DRIFTED else "moved" if ratio >= RATE_MOVED else "stable"
        if beyond and LEVELS.index(by_rate) > LEVELS.index(record["level"]):
            record["level"] = by_rate
        return {**record, "sentence": f"positive examples {shown(before, rate=True)} -> {shown(after, rate=True)}"}


def level(psi: float, ks: float, psi_by_chance: float, ks_by_chance: float) -> str:
    """Return `stable`, `moved` or `drifted`, or `too_few` where a drift could not be told from chance."""
    if psi >= max(PSI_DRIFTED, psi_by_chance) or ks >= max(KS_DRIFTED, ks_by_chance):
        return "drifted"
    if psi >= max(PSI_MOVED, psi_by_chance) or ks >= max(KS_MOVED, ks_by_chance):
        return "moved"
    return "too_few" if psi_by_chance > PSI_DRIFTED and ks_by_chance > KS_DRIFTED else "stable"


def what_moved(shape: Shape) -> str:
    """Return in one phrase what a distribution did: its median, or a share where the median stays."""
    before, after = shape.medians
    if before != after:
        return f"median {shown(before)} -> {shown(after)}"
    above = [shown(1 - share, rate=True) for share in shape.below]
    return f"share above {shown(shape.at)}: {above[0]} -> {above[1]}"


def _note(found: str, unit: str, units: tuple[float, float], by_chance: tuple[float, float]) -> str | None:
    if found == "filling":
        return "its window is longer than the history before the reference's first cut, so it grows by itself"
    if found == "too_few":
        return (
            f"too few {UNIT_WORDS[unit]} to tell: {units[0]:.0f} and {units[1]:.0f} count, "
            f"so chance alone reaches a PSI of {by_chance[0]:.2f} and a KS distance of {by_chance[1]:.2f}"
        )
    return None


def as_checks(
    records: Sequence[Mapping[str, Any]], place: Mapping[str, str], known: Mapping[str, str], *, again: bool
) -> list[Check]:
    """Return records of drift as the other checks have them: one each, and one that warns of the features together.

    Args:
        records: of features, the label and the scores.
        place: `day` and `place` of the checks.
        known: why a drift is acknowledged in the pipeline file, by feature.
        again: whether the run of the day before compared the same examples: then a drift is no news, and warns nobody.
    """
    single = [_as_check(record, place, known.get(record["feature"]), again=again) for record in records]
    news = [
        row
        for row in records
        if row["level"] == "drifted" and row["feature"] not in {*known, LABEL, SCORE} and not again
    ]
    features = Check(
        suite=SUITE,
        table="examples",
        type="psi_and_ks",
        column="features__drift",
        severity="warning",
        success=not news,
        observed="; ".join(f"{row['feature']}: {row['sentence']}" for row in news) or "nothing new",
        observed_in=None,
        expected="no feature that drifts, unless the pipeline file acknowledges it",
        why=WHY,
        next=NEXT,
        day=place["day"],
        place=place["place"],
    )
    return [features, *single]


def _as_check(record: Mapping[str, Any], place: Mapping[str, str], known: str | None, *, again: bool) -> Check:
    why = WHY if known is None else f"Acknowledged in the pipeline file: {known}"
    if again and record["level"] == "drifted":
        why += " The day before compared the same examples."
    alone = record["level"] == "drifted" and record["feature"] in (LABEL, SCORE) and not again
    least = [max(bound, record[f"{name}_by_chance"]) for name, bound in (("psi", PSI_MOVED), ("ks", KS_MOVED))]
    figures = f"PSI {record['psi']:.2f}, KS {record['ks']:.2f}; {record['level'].replace('_', ' ')}"
    return Check(
        suite=SUITE,
        table="predictions" if record["feature"] == SCORE else "examples",
        type="psi_and_ks",
        column=f"{record['feature'].replace(' ', '_')}__drift",
        severity="warning" if alone else "info",
        success=record["level"] not in ("moved", "drifted"),
        observed=f"{record['sentence']} ({figures})",
        observed_in=None,
        expected=f"a PSI below {least[0]:.2f} and a KS distance below {least[1]:.2f}",
        why=why,
        next=NEXT,
        day=place["day"],
        place=place["place"],
    )
