"""Whether the baselines are worth beating: how often the label repeats an item, and what their lists are full of.

Where everything is consumed once, a baseline whose list is full of what somebody has consumed before cannot hit
anything: beating it shows nothing. Measured on the lists that are evaluated; nothing is left out because of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine.metrics import parse_metric
from tasks.evaluation.held_out import HeldOut, baseline_rows
from tasks.spec.parts import BEST_BASELINE, BEST_FEATURE, BeatsGate
from tasks.spec.spec import Spec
from tasks.store.files import json_number
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tasks.evaluation.results import GroupValues

BASELINES_FILE = "baselines.json"
NO_REPEATS = 0.01
"""A label of which no more than this share was seen before repeats no item; the rest are data errors and edits."""
LEAST_RELEVANT = 30
"""With fewer relevant items nothing is said about repeats."""
MOSTLY = 0.5
"""A top k of which more than this share was consumed before has no room for what the label wants."""
EXCLUDE = "`candidates: {seen: exclude}`"
DEPTH = 10
"""Length of the top of a list where the primary metric has none."""
DIGITS = 12


class BaselineFinding(Record):
    """A baseline on the evaluated lists.

    Attributes:
        of: its name.
        values: its mean by metric; None where no group defines it.
        seen_share: share of the top k of its lists that was seen before.
        vacuous: why beating it would show nothing; None if it would.
    """

    of: str
    values: dict[str, float | None]
    seen_share: float | None
    vacuous: str | None = None


class Baselines(Record):
    """The baselines of a run, and whether its label repeats items.

    Attributes:
        rule: the rule for seen items (`candidates.seen`) by which the lists were made.
        relevant: relevant items of the evaluated lists.
        repeated: those of them that their users had seen before.
        findings: one for each baseline, in the order of the pipeline file.
    """

    rule: str
    relevant: int
    repeated: int
    findings: tuple[BaselineFinding, ...]

    def vacuous(self, name: str) -> str | None:
        """Say why beating a baseline shows nothing; None if it shows something, or it was not measured."""
        return next((finding.vacuous for finding in self.findings if finding.of == name), None)

    def strongest(self, metric: str) -> str | None:
        """Name the baseline with the highest mean of a metric, the first of equal ones; None if there is none."""
        means = {finding.of: finding.values.get(metric) for finding in self.findings}
        measured = {name: value for name, value in means.items() if value is not None}
        return max(measured, key=lambda name: measured[name], default=None)


def never_repeats(relevant: int, repeated: int) -> bool:
    """Tell whether a label never repeats an item, as far as so many relevant items show."""
    return relevant >= LEAST_RELEVANT and repeated <= NO_REPEATS * relevant


def baselines_of(spec: Spec, held_out: HeldOut, truth: pa.Table | None, groups: GroupValues) -> Baselines:
    """Look at the evaluated lists.

    Args:
        spec: the pipeline.
        held_out: the test examples, with a column `seen`.
        truth: every relevant item of snapshots, with a column `seen`.
        groups: every contender's value of every metric.
    """
    relevant, seen = _relevant(held_out, truth)
    once = spec.candidates.seen == "keep" and never_repeats(relevant, seen)
    findings = [_finding(spec, name, held_out, groups, once=once) for name in spec.evaluate.baselines]
    return Baselines(rule=spec.candidates.seen, relevant=relevant, repeated=seen, findings=tuple(findings))


def _relevant(held_out: HeldOut, truth: pa.Table | None) -> tuple[int, int]:
    """Count the relevant items, and those that were seen before."""
    import numpy as np

    if truth is not None:
        return truth.num_rows, int(np.count_nonzero(truth["seen"].to_numpy()))
    hits = held_out.grades > 0
    return int(np.count_nonzero(hits)), int(np.count_nonzero(hits & held_out.table["seen"].to_numpy()))


def _finding(spec: Spec, name: str, held_out: HeldOut, groups: GroupValues, *, once: bool) -> BaselineFinding:
    primary = parse_metric(spec.gates[0].metric)
    k = primary.k or DEPTH
    columns = {key.metric: column for key, column in groups.values.items() if key.contender == name}
    values = {metric: json_number(_mean(column), DIGITS) for metric, column in columns.items()}
    share = _seen_share(held_out, baseline_rows(spec, held_out.table, name), k)
    return BaselineFinding(
        of=name,
        values=values,
        seen_share=json_number(share, DIGITS),
        vacuous=_why_vacuous(values.get(primary.name), share, k, once=once),
    )


def _why_vacuous(value: float | None, share: float, k: int, *, once: bool) -> str | None:
    if value == 0:
        return "it scores 0 in every list"
    if once and share > MOSTLY:
        return f"{100 * share:.0f} % of its top {k} was consumed before, which the label never repeats"
    return None


def _seen_share(held_out: HeldOut, baseline: tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]], k: int) -> float:
    """Measure the share of the top k of a baseline's lists that was seen before; NaN without a list."""
    import numpy as np

    from engine.arrays import group_of_row

    scores, listed = baseline
    rows = group_of_row(held_out.offsets)[listed]
    # A list's rows are in the order of item ids, by which equal scores are ranked.
    order = np.lexsort((np.arange(len(rows)), -scores[listed], rows))
    starts = np.searchsorted(rows, rows)
    top = order[np.arange(len(rows)) - starts < k]
    return float(held_out.table["seen"].to_numpy()[listed][top].mean()) if len(top) else math.nan


def _mean(values: npt.NDArray[np.float64]) -> float:
    import numpy as np

    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan


def unfair_candidates(spec: Spec, relevant: int, repeated: int) -> str | None:
    """Say what to write where the label never repeats an item and lists hold seen ones; None where it is fine."""
    if spec.candidates.seen != "keep" or not never_repeats(relevant, repeated):
        return None
    return (
        f"the label repeats {repeated:,} of {relevant:,} items, and lists hold what their users have seen before: they "
        f"waste places, and baselines look worse than they are. Write {EXCLUDE}"
    )


def notices(spec: Spec, baselines: Baselines) -> list[str]:
    """Say what makes the comparisons of a run less than they look."""
    unfair = unfair_candidates(spec, baselines.relevant, baselines.repeated)
    found = [unfair] if unfair else []
    found += [f"the baseline {f.of} is vacuous: {f.vacuous}" for f in baselines.findings if f.vacuous]
    beaten = {(gate.metric, gate.beats) for gate in spec.gates if isinstance(gate, BeatsGate)}
    beaten = {(metric, name) for metric, name in beaten if name != BEST_FEATURE}  # no baseline of the pipeline file
    for metric, name in sorted(beaten):
        best = baselines.strongest(metric)
        # A weaker baseline may have a gate of its own, beside the one that matters.
        if best is None or {(metric, best), (metric, BEST_BASELINE)} & beaten:
            continue
        found.append(
            f"the gate on {metric} compares with {name} ({_value(baselines, metric, name)}), but {best} is the "
            f"strongest baseline measured ({_value(baselines, metric, best)}). Write `beats: {BEST_BASELINE}`"
        )
    return found


def _value(baselines: Baselines, metric: str, name: str) -> str:
    value = next((f.values.get(metric) for f in baselines.findings if f.of == name), None)
    return "not measured" if value is None else f"{value:.4f}"
