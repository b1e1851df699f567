"""Labels: a day written by hand, case by case, and random tables against the definition of every fact."""

from __future__ import annotations

import operator
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from tasks.spec.conditions import FLAGS, MEASURES
from tasks.spec.kinds import KINDS
from tasks.spec.label import GradeRule
from tests.transforms.project import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LABELS = ("run", "--select", "+labels")
TESTS = ("test", "--select", "labels", "--exclude-resource-type", "unit_test")
Make = Callable[[str], Warehouse]


@dataclass(frozen=True)
class Did:
    """What a user did to an item, when, and the day it landed."""

    user: str
    item: str
    kind: str
    value: float
    at: datetime
    ds: date


def variables(rules: Sequence[dict[str, Any]], horizon: int, lateness: int) -> dict[str, Any]:
    grades = [GradeRule.model_validate(rule).variables() for rule in rules]
    return {"grades": grades, "horizon_days": horizon, "lateness_days": lateness}


def land(warehouse: Warehouse, done: Sequence[Did]) -> None:
    """Land the rows; the one further up in the list has the smaller id."""
    for ds in {did.ds for did in done}:
        rows = [
            {
                "event_id": f"e{number:05}",
                "user_id": did.user,
                "item_id": did.item,
                "kind": did.kind,
                "value": did.value,
                "occurred_at": did.at,
                "known_at": datetime.combine(ds, time(23, 59)),
            }
            for number, did in enumerate(done)
            if did.ds == ds
        ]
        warehouse.land("events", ds, rows)


# The horizon of the cut is 11 and 12 March; what is known by the end of 13 March counts.
CUT = date(2026, 3, 10)
RULES = [
    {"grade": 4, "pair": "play_before > 0 and play_max >= 0.9"},  # 1 came back to it after the cut
    {"grade": 4, "pair": "play_count >= 2 and play_max >= 0.9"},  # 2 came back to it in the horizon
    {"grade": 4, "pair": "rating_last >= 4 and rating_follows_play"},  # 3 watched, then praised
    {"grade": 3, "when": "kind = 'play' and value >= 0.9"},  # 4 watched to the end
    {"grade": 0, "pair": "play_count > 0 and play_max < 0.1"},  # 5 abandoned
    {"grade": 0, "pair": "purchase_sum > 0 and cancellation_sum >= 3"},  # 6 sent back
    {"grade": 2, "when": "kind = 'purchase'"},  # 7 bought
    {"grade": 1, "pair": "list_add_count > 0 and play_count = 0"},  # 8 saved for later
]
DAY: dict[str, list[tuple[str, float, str, str]]] = {
    # pair:                             kind, value, occurred at,    landed
    "watched":                        [("play", 0.9, "03-11 20:00", "03-11")],
    "left in the middle":             [("play", 0.5, "03-11 20:00", "03-11")],
    "abandoned":                      [("play", 0.05, "03-11 20:00", "03-11")],
    "abandoned twice":                [("play", 0.05, "03-11 20:00", "03-11"), ("play", 0.09, "03-12 20:00", "03-12")],
    "abandoned, then watched":        [("play", 0.05, "03-11 20:00", "03-11"), ("play", 1.0, "03-12 20:00", "03-12")],
    "replayed":                       [("play", 0.3, "03-11 20:00", "03-11"), ("play", 0.9, "03-11 22:00", "03-11")],
    "added only":                     [("list_add", 1, "03-11 20:00", "03-11")],
    "added, then abandoned":          [("list_add", 1, "03-11 20:00", "03-11"), ("play", 0.05, "03-12 20:00", "03-12")],
    "added, then left in the middle": [("list_add", 1, "03-11 20:00", "03-11"), ("play", 0.4, "03-12 20:00", "03-12")],
    "added, then watched":            [("list_add", 1, "03-11 20:00", "03-11"), ("play", 0.95, "03-12 20:00", "03-12")],
    "rated after play":               [("play", 0.5, "03-11 20:00", "03-11"), ("rating", 4, "03-11 21:00", "03-11")],
    "rated before play":              [("rating", 4, "03-11 20:00", "03-11"), ("play", 0.5, "03-11 21:00", "03-11")],
    "rated at the second of play":    [("rating", 4, "03-11 20:00", "03-11"), ("play", 0.5, "03-11 20:00", "03-11")],
    "rated without play":             [("rating", 5, "03-11 20:00", "03-11")],
    "rated badly in the end":         [("play", 0.5, "03-11 20:00", "03-11"), ("rating", 5, "03-11 21:00", "03-11"),
                                       ("rating", 2, "03-12 21:00", "03-12")],
    "rated late":                     [("play", 0.5, "03-11 20:00", "03-11"), ("rating", 5, "03-12 21:00", "03-13")],
    "rated, known too late":          [("play", 0.5, "03-11 20:00", "03-11"), ("rating", 5, "03-12 21:00", "03-14")],
    "played late":                    [("play", 0.9, "03-12 23:59", "03-13")],
    "played, known too late":         [("play", 0.9, "03-12 23:59", "03-14")],
    "played after the horizon":       [("play", 0.9, "03-13 00:00", "03-13")],
    "played on the cut":              [("play", 0.9, "03-10 23:59", "03-10")],
    "played before, watched again":   [("play", 0.2, "03-10 23:59", "03-10"), ("play", 0.9, "03-11 20:00", "03-11")],
    "played before, known late":      [("play", 0.2, "03-10 23:59", "03-11"), ("play", 0.9, "03-11 20:00", "03-11")],
    "played before, rated now":       [("play", 0.2, "01-10 20:00", "01-10"), ("rating", 4, "03-11 21:00", "03-11")],
    "bought":                         [("purchase", 3, "03-11 20:00", "03-11")],
    "bought, sent back":              [("purchase", 3, "03-11 20:00", "03-11"),
                                       ("cancellation", 3, "03-12 09:00", "03-12")],
    "bought, sent one back":          [("purchase", 3, "03-11 20:00", "03-11"),
                                       ("cancellation", 1, "03-12 09:00", "03-12")],
}  # fmt: skip
EXPECTED = {
    # pair:                           grade, rule, rules that hold
    "watched":                        (3, 4, "00010000"),
    "left in the middle":             (0, 0, "00000000"),
    "abandoned":                      (0, 5, "00001000"),
    "abandoned twice":                (0, 5, "00001000"),
    "abandoned, then watched":        (4, 2, "01010000"),
    "replayed":                       (4, 2, "01010000"),
    "added only":                     (1, 8, "00000001"),
    "added, then abandoned":          (0, 5, "00001000"),
    "added, then left in the middle": (0, 0, "00000000"),
    "added, then watched":            (3, 4, "00010000"),
    "rated after play":               (4, 3, "00100000"),
    "rated before play":              (0, 0, "00000000"),
    "rated at the second of play":    (0, 0, "00000000"),
    "rated without play":             (0, 0, "00000000"),
    "rated badly in the end":         (0, 0, "00000000"),
    "rated late":                     (4, 3, "00100000"),
    "rated, known too late":          (0, 0, "00000000"),
    "played late":                    (3, 4, "00010000"),
    "played before, watched again":   (4, 1, "10010000"),
    "played before, known late":      (3, 4, "00010000"),
    "played before, rated now":       (4, 3, "00100000"),
    "bought":                         (2, 7, "00000010"),
    "bought, sent back":              (0, 6, "00000110"),
    "bought, sent one back":          (2, 7, "00000010"),
}  # fmt: skip


def test_a_day_written_by_hand(warehouse: Make) -> None:
    done = [
        Did("ana", pair, kind, value, datetime.fromisoformat(f"2026-{at}"), date.fromisoformat(f"2026-{ds}"))
        for pair, rows in DAY.items()
        for kind, value, at, ds in rows
    ]
    built = warehouse("simulated")
    land(built, done)

    assert built.build(cuts=[CUT], command=LABELS, **variables(RULES, 2, 1)) == []
    assert built.dbt(*TESTS, **variables(RULES, 2, 1)) == []
    found = built.rows("select item_id, grade, rule, holds from labels")
    assert {item: row for item, *row in found} == {item: [*row] for item, row in EXPECTED.items()}
    assert DAY.keys() - EXPECTED.keys() == {  # nothing of these counts, so they have no row
        "played, known too late", "played after the horizon", "played on the cut",
    }  # fmt: skip


# Random tables: every fact beside every number, and conditions made of these, against loops over rows.
HORIZON, LATENESS = 2, 1
FIRST_CUT = date(2026, 3, 10)
CUTS = [FIRST_CUT + timedelta(days=n) for n in (0, 1, 3)]
NUMBERS = [0.0, 0.3, 0.9, 1.0, 2.0, 4.0]
OPERATORS = {"=": operator.eq, "<": operator.lt, ">=": operator.ge, "<>": operator.ne}
Facts = dict[str, float | bool | None]
Condition = tuple[str, Callable[[Facts], bool | None]]


def draw(rng: random.Random) -> list[Did]:
    """Return what 40 users did to 6 items, around the edges of every window, often in the same second."""
    done = []
    for _ in range(2500):
        kind = rng.choices(KINDS, [8, 2, 4, 3, 1, 2])[0]
        value = rng.choice([0.0, 0.05, 0.3, 0.6, 0.9, 1.0]) if kind == "play" else float(rng.randint(1, 5))
        day = rng.choice(CUTS) + timedelta(days=rng.choice([-366, -365, -364, -30, -1, 0, 0, 1, 1, 1, 2, 2, 3]))
        at = datetime.combine(day, rng.choice([time(0), time(12), time(12), time(23, 59)]))
        ds = day + timedelta(days=rng.choice([0, 0, 0, 1, 2, 5]))
        done.append(Did(f"u{rng.randrange(40)}", f"i{rng.randrange(6)}", kind, value, at, ds))
    return done


def facts_of(rows: Sequence[Did], cut: date) -> Facts | None:
    """Return the facts of a pair's rows, given in the order of their ids; nothing if nothing followed the cut."""
    lasting = cut + timedelta(days=HORIZON)
    ahead = [r for r in rows if cut < r.at.date() <= lasting and r.ds <= lasting + timedelta(days=LATENESS)]
    before = [r for r in rows if 0 <= (cut - r.at.date()).days < 365 and r.ds <= cut]
    if not ahead:
        return None
    facts: Facts = {}
    for kind in KINDS:
        these = sorted((r for r in ahead if r.kind == kind), key=lambda r: r.at)  # stable: ids break ties
        facts[f"{kind}_count"] = len(these)
        facts[f"{kind}_max"] = max((r.value for r in these), default=None)
        facts[f"{kind}_sum"] = round(sum(r.value for r in these), 4)
        facts[f"{kind}_last"] = these[-1].value if these else None
        facts[f"{kind}_before"] = sum(r.kind == kind for r in before)
    rated = [r.at for r in ahead if r.kind == "rating"]
    facts["rating_follows_play"] = any(r.kind == "play" and r.at < max(rated) for r in ahead + before if rated)
    return facts


def comparison(name: str, sign: str, number: float) -> Condition:
    def holds(facts: Facts) -> bool | None:
        value = facts[name]
        return None if value is None else bool(OPERATORS[sign](value, number))

    return f"{name} {sign} {number}", holds


def flag(name: str) -> Condition:
    return name, lambda facts: bool(facts[name])


def is_null(name: str) -> Condition:
    return f"{name} is null", lambda facts: facts[name] is None


def negated(inner: Condition) -> Condition:
    text, holds = inner

    def turned(facts: Facts) -> bool | None:
        value = holds(facts)
        return None if value is None else not value

    return f"not ({text})", turned


def joined(word: str, one: Condition, other: Condition) -> Condition:
    decisive = word == "or"  # what decides alone, whatever the other is; otherwise unknown stays unknown

    def holds(facts: Facts) -> bool | None:
        values = {one[1](facts), other[1](facts)}
        return decisive if decisive in values else None if None in values else not decisive

    return f"({one[0]}) {word} ({other[0]})", holds


def conditions(rng: random.Random) -> list[Condition]:
    """Return every fact beside every number, and conditions made of two or three of these."""
    names = [f"{kind}_{measure}" for kind in KINDS for measure in MEASURES]
    single = [comparison(name, rng.choice([*OPERATORS]), number) for name in names for number in NUMBERS]
    single += [is_null(name) for name in names] + [flag(name) for name in FLAGS]
    made = [joined(rng.choice(["and", "or"]), *rng.sample(single, 2)) for _ in range(40)]
    made += [joined(rng.choice(["and", "or"]), negated(rng.choice(made)), rng.choice(single)) for _ in range(40)]
    return [*single, *map(negated, rng.sample(single, 40)), *made]


@pytest.mark.parametrize("seed", range(2))
def test_labels_are_what_the_rules_say_of_random_tables(warehouse: Make, seed: int) -> None:
    rng = random.Random(seed)
    done, asked = draw(rng), conditions(rng)
    rng.shuffle(asked)
    rules = [{"grade": rng.randint(0, 4), "pair": text} for text, _ in asked]
    built = warehouse("simulated")
    land(built, done)
    assert built.build(cuts=CUTS, command=LABELS, **variables(rules, HORIZON, LATENESS)) == []

    expected = {}
    for user, item in {(did.user, did.item) for did in done}:
        rows = [did for did in done if (did.user, did.item) == (user, item)]
        for cut in CUTS:
            if (facts := facts_of(rows, cut)) is not None:
                expected[user, item, cut] = "".join(str(int(holds(facts) is True)) for _, holds in asked)
    found = built.records("labels", "user_id", "item_id", "cut")
    assert len(found) > 200
    assert {key: row["holds"] for key, row in found.items()} == expected
    for row in found.values():
        assert row["rule"] == row["holds"].find("1") + 1
        assert row["grade"] == (rules[row["rule"] - 1]["grade"] if row["rule"] else 0)
    fired = Counter(number for row in found.values() for number, held in enumerate(row["holds"]) if held == "1")
    assert len(fired) > 150, "the tables try most of the rules"


def test_labels_are_the_same_in_any_order_and_whatever_arrives_later(warehouse: Make) -> None:
    rng = random.Random(7)
    done, asked = draw(rng), conditions(rng)
    told = variables([{"grade": 1, "pair": text} for text, _ in asked], HORIZON, LATENESS)
    at_once, one_by_one = warehouse("simulated"), warehouse("simulated")
    land(at_once, done)
    land(one_by_one, done)
    assert at_once.build(cuts=CUTS, command=LABELS, **told) == []
    for cut in (CUTS[1], CUTS[2], CUTS[0]):
        complete = cut + timedelta(days=HORIZON + LATENESS)
        assert one_by_one.build(cuts=[cut], known=lambda ds, last=complete: ds <= last, command=LABELS, **told) == []  # type: ignore[misc]
    everything = "select * from labels order by all"
    assert one_by_one.rows(everything) == at_once.rows(everything)
