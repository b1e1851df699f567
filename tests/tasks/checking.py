"""A small home with a landing, a warehouse and a sample, for the tests of checks, monitor and report."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pyarrow as pa

from tasks.checks.verdicts import Check, read_checks
from tasks.runs.made_by import MadeBy
from tasks.runs.run import Run
from tasks.spec.attributes import attributes_of
from tasks.spec.feature_catalog import MartFeature
from tasks.spec.kinds import Interactions
from tasks.spec.parts import Monitor
from tasks.spec.sample import Sample
from tasks.store.files import Home
from tasks.store.partitions import partition_dir, store

DAY = date(2026, 2, 10)


class FakeRun:
    """Just what checks need of a run, without a pipeline file."""

    def __init__(self, home: Home, *, staging: str = "simulated", as_of: date = DAY) -> None:
        grades = (SimpleNamespace(grade=3, when="kind = 'play'"), SimpleNamespace(grade=1, when="value > 0"))
        self.spec = SimpleNamespace(
            name="demo",
            description="A demo.",
            source=SimpleNamespace(type="simulated"),
            source_name=staging,
            staging=staging,
            attributes=attributes_of("simulated"),
            features=("f_one", "f_two"),
            interactions=Interactions(),
            resolved_features=tuple(
                MartFeature(name, "feat_users", "user", 0.0, "", window=365) for name in ("f_one", "f_two")
            ),
            lag=timedelta(days=3),
            label=SimpleNamespace(grades=grades, horizon=1, lateness=2),
            populations=None,
            sample=Sample(strata=("region",), groups=1_000),
            publish=SimpleNamespace(alias="champion"),
            gates=(),
            start=as_of - timedelta(days=730),
            monitor=Monitor(),
            examples=SimpleNamespace(kind="impressions"),
            candidates=SimpleNamespace(seen="keep"),
            ranker=None,
            retrieval=(),
            canonical=lambda: {"name": "demo", "ranker": {"type": "lightgbm", "rounds": 100}},
        )
        self.home, self.as_of, self.attempt = home, as_of, "a1"
        self.data: Path | None = None
        self.windows = SimpleNamespace(
            validation=(as_of,), refit=tuple(as_of - timedelta(days=n) for n in range(12, 2, -1))
        )
        self.landing_start = as_of - timedelta(days=30)
        self.dir = home.run_dir("demo", as_of, "a1")
        self.made_by = MadeBy(pipeline="this", code="this", files={})

    def step_dir(self, step: str) -> Path:
        return self.dir / step

    # Which need no more of a run than this has.
    write, read, file, require_unchanged = Run.write, Run.read, Run.file, Run.require_unchanged

    def checks(self, step: str) -> tuple[Check, ...]:
        checks = read_checks(self.step_dir(step))
        assert checks is not None
        return checks

    def failed(self, step: str) -> set[tuple[str, str]]:
        """(table, profile column) of each failed check."""
        return {(check.table, check.column) for check in self.checks(step) if not check.success}


def rows(sql: str) -> pa.Table:
    with duckdb.connect() as connection:
        return connection.sql(sql).to_arrow_table()


def land_table(run: FakeRun, table: str, days: Iterable[date], sql: str, rejects: int = 0) -> list[Path]:
    """Land `sql` (with {day} filled in) as each day's partition."""
    return [
        store(
            partition_dir(run.home, run.spec.source_name, table, day),
            rows(sql.format(day=day)),
            inputs="test",
            rejects=rejects,
        ).path
        for day in days
    ]


def days_up_to(last: date, count: int) -> list[date]:
    return [last - timedelta(days=n) for n in range(count - 1, -1, -1)]


EVENTS = """
    select 'e{day}' || i as event_id, 'u' || i % 7 as user_id, 'i' || i % 9 as item_id, 'play' as kind,
           i / 100 as value, 'r' || i as request_id,
           timestamp '{day} 10:00' as occurred_at, timestamp '{day} 11:00' as known_at
    from range(100) numbers(i)
"""
IMPRESSIONS = """
    select 'm{day}' || i as impression_id, 'r' || i // 20 as request_id, 'u' || i // 20 as user_id,
           'i' || i as item_id, (i % 20 + 1)::integer as position, 'taste' as policy, 0.1::double as propensity,
           timestamp '{day} 10:00' as shown_at, timestamp '{day} 10:00' as known_at
    from range(100) numbers(i)
"""
USERS = """
    select 'u' || i as user_id, 'BR' as region, timestamp '{day}' as joined_at, 'basic' as plan,
           timestamp '{day}' as changed_at
    from range(3) numbers(i)
"""
ITEMS = """
    select 'i' || i as item_id, 'Title' as title, 'drama' as category, timestamp '{day}' as released_at,
           timestamp '{day}' as changed_at
    from range(3) numbers(i)
"""


def land_simulated(run: FakeRun, **instead: str) -> dict[str, list[Path]]:
    """Land ten days; `events="…"` lands other rows on the as-of day."""
    good = {"users": USERS, "items": ITEMS, "impressions": IMPRESSIONS, "events": EVENTS}
    paths = {}
    for table, sql in good.items():
        paths[table] = land_table(run, table, days_up_to(DAY, 10)[:-1], sql)
        paths[table] += land_table(run, table, [DAY], instead.get(table, sql))
    return paths
