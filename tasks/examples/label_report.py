"""What the rules of a label decide: counts and examples, rule by rule, from the tables as they were built.

The mart `labels` keeps for each pair which rules hold, so nothing is decided here a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from tasks.errors import BuildError
from tasks.examples import queries
from tasks.examples.candidates import CANDIDATES, cut_folders
from tasks.examples.positives import too_few_to_learn
from tasks.features.build import needed, require_built
from tasks.features.engines import warehouse_of
from tasks.features.warehouse import Tables

if TYPE_CHECKING:
    from tasks.runs.run import Run

UNDECIDED = 0
NOTHING = ""
Counts = dict[str, int]
"""Pairs or examples by the mart's `holds`; `NOTHING` where no row of the pair followed."""


class Interaction(NamedTuple):
    """One thing that a pair's user did to its item; `ahead` of the cut, or before it."""

    kind: str
    value: float
    at: datetime
    ahead: bool


class Pair(NamedTuple):
    """A labelled pair with its interactions, in order of time."""

    user_id: str
    item_id: str
    cut: date
    interactions: tuple[Interaction, ...]


@dataclass(frozen=True)
class Tally:
    """What one rule does; number `UNDECIDED` is of the pairs for which no rule holds."""

    number: int
    decides: int
    examples: int | None
    shadowed: dict[int, int] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()

    @property
    def holds(self) -> int:
        """Pairs for which the rule holds, whether it decides them or an earlier one does."""
        return self.decides + sum(self.shadowed.values())


@dataclass(frozen=True)
class Labels:
    """What the rules decide at the complete cuts of a run; `examples` are None before the candidates are made."""

    run: Run
    cuts: tuple[date, ...]
    rules: tuple[Tally, ...]
    undecided: Tally
    nothing_followed: int | None

    @property
    def idle(self) -> list[int]:
        """Numbers of the rules that decide no pair."""
        return [rule.number for rule in self.rules if not rule.decides]

    @property
    def few(self) -> str | None:
        """That the examples have few positives for the pipeline's features; None if they are enough, or not made."""
        if self.nothing_followed is None:
            return None
        positives = sum(count for grade, count in self.mix().items() if grade > 0)
        return too_few_to_learn(positives, len(self.run.spec.features))

    def mix(self) -> dict[int, int]:
        """Examples (pairs, while there are none) by grade, from the highest that a rule gives down to 0."""
        grades: Counter[int] = Counter({UNDECIDED: self.nothing_followed or 0})
        given = [rule.grade for rule in self.run.spec.label.grades]
        for tally in (*self.rules, self.undecided):
            grade = given[tally.number - 1] if tally.number else 0
            grades[grade] += tally.decides if tally.examples is None else tally.examples
        return {grade: grades[grade] for grade in sorted({0, *given}, reverse=True)}


def label_report(run: Run, examples: int = 3) -> Labels:
    """Count what each rule decides at the run's complete cuts, and choose some pairs of each.

    Args:
        run: the run; only its built tables and candidates are read.
        examples: pairs to choose of each rule, by the md5 of their key: the same ones every time.

    Raises:
        BuildError: the labels are not built, or not from the landing and the rules as they are now.
    """
    cuts = run.windows.refit
    with warehouse_of(run.home, run.spec.name).open() as tables:
        _require_labels(run, tables, cuts)
        require_built(run, tables)
        pairs: Counts = dict(tables.rows(queries.rule_counts(run.spec, cuts, of_candidates=False)))
        shown = _count_examples(run, tables, cuts)
        chosen = _choose(run, tables, cuts, examples)
    rules = range(1, len(run.spec.label.grades) + 1)
    return Labels(
        run,
        cuts,
        tuple(_tally(number, pairs, shown, chosen) for number in rules),
        _tally(UNDECIDED, pairs, shown, chosen),
        None if shown is None else shown.get(NOTHING, 0),
    )


def _tally(number: int, pairs: Counts, shown: Counts | None, chosen: Mapping[int, tuple[Pair, ...]]) -> Tally:
    shadowed: Counter[int] = Counter()
    for holds, count in pairs.items():
        if number and holds[number - 1] == "1" and _first(holds) < number:
            shadowed[_first(holds)] += count
    return Tally(
        number,
        _decided(number, pairs),
        None if shown is None else _decided(number, shown),
        dict(sorted(shadowed.items())),
        chosen.get(number, ()),
    )


def _decided(number: int, counts: Counts) -> int:
    # A pair of which nothing followed is told apart from one that no rule matches.
    return sum(count for holds, count in counts.items() if holds != NOTHING and _first(holds) == number)


def _first(holds: str) -> int:
    return holds.find("1") + 1  # `UNDECIDED` where no rule matches


def _require_labels(run: Run, tables: Tables, cuts: tuple[date, ...]) -> None:
    ledger = tables.ledger()
    missing = [cut for cut in cuts if ("labels", "", cut) not in ledger]
    if missing:
        raise BuildError(
            f"{run.spec.name} {run.as_of}: the labels of {len(missing)} of its {len(cuts)} cuts are not built, the "
            f"first of {missing[0]}; run `matinee build {run.spec.name} --as-of {run.as_of}` first"
        )


def _count_examples(run: Run, tables: Tables, cuts: tuple[date, ...]) -> Counts | None:
    """The candidates of the cuts, or None where they are not made yet."""
    folders = cut_folders(run, needed(run))
    files = [folders[cut] / CANDIDATES for cut in cuts]
    if not all(file.exists() for file in files):
        return None
    tables.add("candidates", files)
    return dict(tables.rows(queries.rule_counts(run.spec, cuts, of_candidates=True)))


def _choose(run: Run, tables: Tables, cuts: tuple[date, ...], number: int) -> dict[int, tuple[Pair, ...]]:
    """Some pairs of each rule with what the rule saw of them."""
    rows = tables.rows(queries.rule_pairs(run.spec, cuts, number))
    histories: dict[tuple[int, int], tuple[tuple[str, str, date], list[Interaction]]] = {}
    for rule, n, user, item, cut, *done in rows:
        histories.setdefault((rule, n), ((user, item, cut), []))[1].append(Interaction(*done))
    pairs: dict[int, tuple[Pair, ...]] = {}
    for (rule, _), (key, interactions) in histories.items():
        pairs[rule] = (*pairs.get(rule, ()), Pair(*key, tuple(interactions)))
    return pairs
