"""Who did what on which days: what the windows of a first pipeline, its label and its lists are chosen by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tasks.errors import SpecError, count_of
from tasks.operations.own_data.columns import Column, TypedTable
from tasks.operations.own_data.roles import EPOCHS, Roles
from tasks.sources.layout import ColumnType, Dialect, Layout
from tasks.sources.typed_values import typed_values
from tasks.store.database import memory

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ENOUGH_TEST, ENOUGH_TRAIN = 100, 300
"""Lists for which windows grow longer, if the data have so many days."""
MOST_TEST, MOST_TRAIN = 24, 84
WARM_UP = 7
HISTORY = 365
LEAST_SHOWN = 4
HORIZONS = (30, 14, 7, 3, 1)
REPEATED = 0.05


@dataclass(frozen=True)
class Activity:
    """What the interactions say as a whole.

    Attributes:
        first, last: days of the first and of the last one.
        rows: their number.
        repeats: share of the pairs of user and item that happened on several days.
        values: the numbers that there are, if they are few; in order.
        most: the largest of them.
        horizon: days of a label, and between two cuts.
        test, train: number of cuts.
        shown: whether they are impressions, each request of which is a list.
        lists: users with a past who did something after a cut, in the test and in the train window.
    """

    first: date
    last: date
    rows: int
    repeats: float
    values: tuple[float, ...]
    most: float
    horizon: int
    test: int
    train: int
    shown: bool
    lists: tuple[int, int]

    @property
    def start(self) -> date:
        """First day of a pipeline: with a year of history before its windows, where there is one.

        Of impressions it may lie before the first of them: that every day of a short log can be used.
        """
        needed = _needed(self.horizon, self.test, self.train)
        if self.shown:
            return min(self.first, self.last - timedelta(days=needed))
        return max(self.first, self.last - timedelta(days=needed + HISTORY))


def activity_of(events: TypedTable, roles: Roles) -> Activity:
    """Measure the interactions.

    Raises:
        SpecError: there are too few days for any window.
    """
    with memory() as connection:
        rows, first, last = _load(connection, events, roles)
        repeats = connection.execute(
            "select coalesce(avg(cast(days > 1 as double)), 0) from "
            "(select count(distinct day) as days from acted group by user_id, item_id)"
        ).fetchone()
        values = [
            row[0] for row in connection.execute("select distinct value from acted order by 1").fetchall() if row[0]
        ]
        span = (last - first).days + 1
        horizon, least = next((days for days in HORIZONS if _needed(days, 2, 4) <= span), 1), _needed(1, 2, 4)
        if roles.shown:
            # Each request is a list, so that a window has one for every day.
            least, test, lists = LEAST_SHOWN, min(7, max(1, round(0.3 * span))), (0, 0)
            train = min(28, span - test)
            horizon = 1
        else:
            test, train, lists = _windows(connection, horizon, span)
        if span < least:
            raise SpecError(
                f"{events.found.file}: found {count_of(span, 'day')} of interactions ({first} … {last}); expected "
                f"{least} or more, for windows to train and to test on"
            )
    few = tuple(values) if len(values) <= 20 else ()
    most = float(max(values, default=0.0))
    return Activity(
        first, last, rows, float(repeats[0] if repeats else 0), few, most, horizon, test, train, roles.shown, lists
    )


def _load(connection: DuckDBPyConnection, events: TypedTable, roles: Roles) -> tuple[int, date, date]:
    """Make the table `acted`: user_id, item_id, day, value."""
    import pyarrow as pa

    user = [Column(0, "", f"u{n}", "VARCHAR") for n in range(len(roles.user))]
    names = [*roles.user, roles.item, *(name for name in (roles.time, roles.value) if name)]
    aliases = [
        *(part.name for part in user),
        "item_id",
        *(["time"] if roles.time else []),
        *(["value"] if roles.value else []),
    ]
    types: list[ColumnType] = ["VARCHAR"] * (len(user) + 1)
    types += [events[roles.time].type] if roles.time else []
    types += ["DOUBLE"] if roles.value else []
    forms = {key: value for key, value in events.dialect.items() if key in {"timestamps", "dates", "decimal"}}
    layout = Layout(tuple(aliases), tuple(aliases), tuple(types), Dialect.model_validate(forms))
    typed, _ = typed_values(pa.table([events.texts(name) for name in names], names=aliases), layout, connection)
    connection.register("typed", typed)
    key = " || '/' || ".join(part.name for part in user)
    scale = {"epoch_seconds": 1_000_000, "epoch_milliseconds": 1000}.get(roles.time_unit or "")
    day = f"cast(make_timestamp(time * {scale}) as date)" if roles.time_unit in EPOCHS else "cast(time as date)"
    connection.execute(
        f"create table acted as select {key} as user_id, item_id, {day if roles.time else 'null::date'} as day, "
        f"{'value' if roles.value else 'null::double'} as value from typed "
        f"where {key} is not null and item_id is not null"
    )
    found = connection.execute("select count(*), min(day), max(day) from acted").fetchone()
    rows, first, last = found or (0, None, None)
    days: Sequence[date] = events.found.days
    first, last = (days[0] if days else first), (days[-1] if days else last)
    if not rows or first is None or last is None:
        raise SpecError(
            f"{events.found.file}: found no row with a user, an item and a day; are the columns the right ones?"
        )
    return int(rows), first, last


def _needed(horizon: int, test: int, train: int) -> int:
    """Days of data for so many cuts: the labels of the last one, the embargo before the test, and the warm-up."""
    return horizon * (test + train + 2) + WARM_UP + 1


def _windows(connection: DuckDBPyConnection, horizon: int, span: int) -> tuple[int, int, tuple[int, int]]:
    """Choose the numbers of cuts to test and to train on."""
    # Cut 0 is the last one whose labels are complete; a list of a cut is a user with a past who did something after it.
    counted = connection.execute(
        "with last as (select max(day) as last from acted), "
        "firsts as (select user_id, min(day) as first from acted group by user_id) "
        f"select cast(floor((last.last - day) / {horizon}) as integer) as cut, count(distinct acted.user_id) "
        "from acted join firsts using (user_id) cross join last "
        f"where first <= last.last - {horizon} * (cast(floor((last.last - day) / {horizon}) as integer) + 1) "
        "group by 1"
    ).fetchall()
    lists = {int(cut): int(number) for cut, number in counted if cut is not None}
    # Rows without a time of their own are not counted by day: then windows of a usual length.
    most_test, most_train = (MOST_TEST, MOST_TRAIN) if lists else (2, 12)
    test = _cuts(lists, 0, ENOUGH_TEST, most_test, lambda cuts: _needed(horizon, cuts, 2 * cuts) <= span)
    begin = test + 1
    train = _cuts(lists, begin, ENOUGH_TRAIN, most_train, lambda cuts: _needed(horizon, test, cuts) <= span)
    counts = sum(lists.get(n, 0) for n in range(test)), sum(lists.get(n, 0) for n in range(begin, begin + train))
    return test, train, counts


def _cuts(lists: dict[int, int], begin: int, enough: int, most: int, fits: Callable[[int], bool]) -> int:
    cuts, least = 1, 2 if begin == 0 else 4
    while (
        cuts < most and fits(cuts + 1) and (cuts < least or sum(lists.get(begin + n, 0) for n in range(cuts)) < enough)
    ):
        cuts += 1
    return cuts
