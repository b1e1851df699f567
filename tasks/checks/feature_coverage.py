"""Who and what the features are about: profiles of the warehouse by day, for the second line of defence.

Each profile is a row of numbers for one day, as for landed tables, so that a day is compared with those before it. The
days are the run's own cuts and its as-of day: rows of other days may be in the warehouse or not, which must not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from tasks.store.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.runs.run import Run

MOST_DAYS = 28
Name = Callable[[str], str]
"""Finds the relation of a table of the warehouse."""


def days_until(run: Run) -> list[date]:
    """Return the run's latest cuts and its day: the days of which every build of it has the features."""
    return [*[cut for cut in run.windows.refit if cut < run.as_of][-MOST_DAYS:], run.as_of]


def active_users(connection: DuckDBPyConnection, run: Run, relation: Name) -> list[dict[str, Any]]:
    """Return, by day, how many users were active, the share of them with features, and their mix by attribute.

    Also the share of them whose own attributes (region, plan) have changed on that day.
    """
    spec = run.spec
    by = [] if spec.populations is None else [spec.populations.by]
    attributes = list(dict.fromkeys([*spec.sample.strata, *by]))
    profiles = _active(connection, relation, days_until(run), "user_id", "feat_users", attributes)
    changed = _changed(connection, relation, days_until(run))
    return [profile | {"changed_share": changed.get(str(profile["day"]))} for profile in profiles]


def active_items(connection: DuckDBPyConnection, run: Run, relation: Name) -> list[dict[str, Any]]:
    """Return, by day, how many items were shown or used, the share of them with features, and their categories."""
    return _active(connection, relation, days_until(run), "item_id", "feat_items", ["category"])


def _active(
    connection: DuckDBPyConnection, relation: Name, days: Sequence[date], key: str, mart: str, attributes: Sequence[str]
) -> list[dict[str, Any]]:
    mixes = "".join(f", histogram(coalesce(f.{identifier(name)}, '(none)'))" for name in attributes)
    wanted = ", ".join(literal(day) for day in days)
    found = connection.execute(
        f"""
        with active as (
            select ds, {key} from {relation("interactions")} where ds in ({wanted})
            union
            select ds, {key} from {relation("impressions")} where ds in ({wanted})
        )
        select a.ds, count(*), count(f.{key}) / count(*){mixes}
        from active as a left join {relation(mart)} as f on f.{key} = a.{key} and f.as_of = a.ds
        group by a.ds
        """
    ).fetchall()
    by_day = {day: (rows, share, mix) for day, rows, share, *mix in found}
    return [_of_day(day, *by_day.get(day, (0, None, [{}] * len(attributes))), attributes) for day in days]


def _changed(connection: DuckDBPyConnection, relation: Name, days: Sequence[date]) -> dict[str, float]:
    """Return, by day, the share of the known active users who are others than they were the day before."""
    wanted = ", ".join(literal(day) for day in days)
    found = connection.execute(
        f"""
        with active as (
            select ds, user_id from {relation("interactions")} where ds in ({wanted})
            union
            select ds, user_id from {relation("impressions")} where ds in ({wanted})
        ),
        changes as (
            select user_id, valid_from, region, plan, lag(valid_from) over who as since,
                lag(region) over who as old_region, lag(plan) over who as old_plan
            from {relation("users")} window who as (partition by user_id order by valid_from)
        )
        select a.ds, avg((c.since is not null and (c.region, c.plan) is distinct from (c.old_region, c.old_plan))::int)
        from active as a left join changes as c on c.user_id = a.user_id and c.valid_from = a.ds
        group by a.ds
        """
    ).fetchall()
    return {day.isoformat(): share for day, share in found}


def _of_day(
    day: date, rows: int, share: float | None, mixes: Sequence[dict[str, int]], attributes: Sequence[str]
) -> dict[str, Any]:
    profile: dict[str, Any] = {"day": day.isoformat(), "rows": rows, "with_features_share": share}
    for name, mix in zip(attributes, mixes, strict=True):
        profile[f"{name}__mix"] = {value: count / rows for value, count in sorted(mix.items())}
    return profile


def labels_by_cut(connection: DuckDBPyConnection, run: Run, relation: Name) -> list[dict[str, Any]]:
    """Return, for each of the run's latest complete cuts, how many pairs have a label, and the mix of their grades."""
    cuts = list(run.windows.refit[-MOST_DAYS - 1 :])
    if not cuts:
        return []
    found = connection.execute(
        f"select cut, histogram(grade) from {relation('labels')} "
        f"where cut in ({', '.join(literal(cut) for cut in cuts)}) group by cut"
    ).fetchall()
    grades: dict[date, dict[int, int]] = dict(found)
    return [_of_cut(cut, grades.get(cut, {})) for cut in cuts]


def _of_cut(cut: date, grades: dict[int, int]) -> dict[str, Any]:
    pairs = sum(grades.values())
    positive = sum(count for grade, count in grades.items() if grade > 0)
    return {
        "day": cut.isoformat(),
        "rows": pairs,
        "positive__rate": positive / pairs if pairs else None,
        "positives": positive,
        "grade__mix": {str(grade): count / pairs for grade, count in sorted(grades.items())},
    }
