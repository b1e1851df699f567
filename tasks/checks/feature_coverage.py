"""Who and what the features are about: profiles of the warehouse by day, for the second line of defense.

Each profile is a row of numbers for one day, as for landed tables, so that a day is compared with those before it. The
days are the run's own cuts and its as-of day: rows of other days may be in the warehouse or not, which must not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tasks.checks.profile_row import Profile
from tasks.features.warehouse import Tables
from tasks.spec.attributes import RELATIONS, Attribute
from tasks.store.sql import identifier, literal

if TYPE_CHECKING:
    from tasks.runs.run import Run

# The default of `Trailing.days`: how far back a suite compares.
MOST_DAYS = 28
Name = Callable[[str], str]
"""Finds the relation of a table of the warehouse."""


@dataclass(frozen=True)
class Mart:
    """Features by key and as-of day."""

    relation: str
    key: str


def days_until(run: Run) -> list[date]:
    """The run's latest cuts and its day: the days of which every build of it has the features."""
    return [*[cut for cut in run.windows.refit if cut < run.as_of][-MOST_DAYS:], run.as_of]


def active_users(tables: Tables, run: Run, relation: Name) -> list[Profile]:
    """By day, how many users were active, the share of them with features, and their mix by attribute.

    Also the share of them whose attributes (region, plan) changed on that day.
    """
    spec = run.spec
    by = [] if spec.populations is None else [spec.populations.by]
    wanted = dict.fromkeys([*spec.sample.strata, *by])
    attributes = [part for part in spec.attributes if part.name in wanted and part.entity == "user"]
    days = days_until(run)
    _keep_active(tables, relation, days, "user_id")
    mart = Mart(_users_with(relation, attributes), "user_id")
    profiles = _coverage(tables, "active_users", days, mart, [part.name for part in attributes])
    changed = _changed(tables, relation)
    return [profile.with_measures({"changed_share": changed.get(profile.day)}) for profile in profiles]


def _users_with(relation: Name, attributes: Sequence[Attribute]) -> str:
    """The features of users beside the declared ones of some attributes."""
    declared = [part for part in attributes if part.relation == RELATIONS["user"]]
    if not declared:
        return relation("feat_users")
    chosen = ", ".join(f"cast({part.sql('d')} as varchar) as {identifier(part.name)}" for part in declared)
    return (
        f"(select u.*, {chosen} from {relation('feat_users')} as u "
        f"left join {relation(RELATIONS['user'])} as d on u.user_id = d.user_id and u.as_of = d.as_of)"
    )


def active_items(tables: Tables, run: Run, relation: Name) -> list[Profile]:
    """By day, how many items were shown or used, the share of them with features, and their categories."""
    days = days_until(run)
    _keep_active(tables, relation, days, "item_id")
    return _coverage(tables, "active_items", days, Mart(relation("feat_items"), "item_id"), ["category"])


def _keep_active(tables: Tables, relation: Name, days: Sequence[date], key: str) -> None:
    """Keep who (or what) was active on the days as `active(ds, id)`, each once a day."""
    wanted = ", ".join(literal(day) for day in days)
    scans = [
        f"select ds, {key} as id from {relation(table)} where ds in ({wanted})"
        for table in ("interactions", "impressions")
    ]
    tables.create("active", " union ".join(scans))


def _coverage(tables: Tables, table: str, days: Sequence[date], mart: Mart, attributes: Sequence[str]) -> list[Profile]:
    # histogram() skips NULL, so without a name those without features would be missing from the mix.
    mixes = "".join(f", histogram(coalesce(f.{identifier(name)}, '(none)'))" for name in attributes)
    rows = tables.rows(
        f"select a.ds, count(*), count(f.{mart.key}) / count(*){mixes} from active as a "
        f"left join {mart.relation} as f on f.{mart.key} = a.id and f.as_of = a.ds group by a.ds"
    )
    by_day = {day: (count, share, mix) for day, count, share, *mix in rows}
    profiles = []
    for day in days:
        # A day on which nobody was active has no row, and must be compared with the others all the same.
        count, share, mix = by_day.get(day, (0, None, [{}] * len(attributes)))
        measures = {"rows": count, "with_features_share": share}
        shares = {f"{name}__mix": _shares(values, count) for name, values in zip(attributes, mix, strict=True)}
        profiles.append(Profile(table, day, {**measures, **shares}, table))
    return profiles


def _shares(counts: Mapping[str, int], rows: int) -> dict[str, float]:
    return {value: count / rows for value, count in sorted(counts.items())}


def _changed(tables: Tables, relation: Name) -> dict[date, float]:
    """By day, the share of the known active users who have other attributes than they had the day before."""
    # A user's first row is no change, and neither is a row that says again what was known.
    changes = (
        "select user_id, valid_from, lag(valid_from) over who is not null "
        "and (region, plan) is distinct from (lag(region) over who, lag(plan) over who) as differs "
        f"from {relation('users')} window who as (partition by user_id order by valid_from)"
    )
    rows = tables.rows(
        f"select a.ds, avg(coalesce(c.differs, false)::int) from active as a left join ({changes}) as c "
        "on c.user_id = a.id and c.valid_from = a.ds group by a.ds"
    )
    return dict(rows)


def labels_by_cut(tables: Tables, run: Run, relation: Name) -> list[Profile]:
    """For each of the run's latest complete cuts, how many pairs have a label, and the mix of their grades."""
    # One extra: the newest cut is checked against the ones before it.
    cuts = list(run.windows.refit[-MOST_DAYS - 1 :])
    if not cuts:
        return []
    rows = tables.rows(
        f"select cut, histogram(grade) from {relation('labels')} "
        f"where cut in ({', '.join(literal(cut) for cut in cuts)}) group by cut"
    )
    grades: dict[date, dict[int, int]] = dict(rows)
    return [_of_cut(cut, grades.get(cut, {})) for cut in cuts]


def _of_cut(cut: date, grades: Mapping[int, int]) -> Profile:
    pairs = sum(grades.values())
    positive = sum(count for grade, count in grades.items() if grade > 0)
    measures = {
        "rows": pairs,
        "positive__rate": positive / pairs if pairs else None,
        "positives": positive,
        "grade__mix": {str(grade): count / pairs for grade, count in sorted(grades.items())},
    }
    return Profile("labels", cut, measures, "labels")
