"""The simulated service as a source: the tables of a day as they arrive, with the declared dirt in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import SourceError
from tasks.runs.provenance import room_digest
from tasks.runs.steps import ROOT
from tasks.sources.simulation.logging_policy import POLICIES
from tasks.sources.simulation.service import KINDS, LATEST, PLAY, Activity, Columns, Service, simulate
from tasks.sources.simulation.world import CATEGORIES, OPENS, PLANS, REGIONS, Ints, day_number, instant, stream
from tasks.store.files import digest

_DIRT_STREAM = 200
_TIME = pa.timestamp("us")
SCHEMAS: dict[str, pa.Schema] = {
    "users": pa.schema(
        {"user_id": pa.string(), "region": pa.string(), "joined_at": _TIME, "plan": pa.string()} | {"changed_at": _TIME}
    ),
    "items": pa.schema(
        {"item_id": pa.string(), "title": pa.string(), "category": pa.string(), "released_at": _TIME}
        | {"changed_at": _TIME}
    ),
    "impressions": pa.schema(
        {"impression_id": pa.string(), "request_id": pa.string(), "user_id": pa.string()}
        | {"item_id": pa.string(), "position": pa.int32(), "policy": pa.string()}
        | {"propensity": pa.float64(), "shown_at": _TIME, "known_at": _TIME}
    ),
    "events": pa.schema(
        {"event_id": pa.string(), "user_id": pa.string(), "item_id": pa.string(), "kind": pa.string()}
        | {"value": pa.float64(), "request_id": pa.string(), "occurred_at": _TIME, "known_at": _TIME}
    ),
}
_FIRST = "Amber Broken Crimson Distant Electric Frozen Golden Hidden Iron Jade Last Midnight Northern Open Paper"
_FIRST += " Quiet Restless Silent Tender Uncharted Velvet Wild Winter Yellow"
_SECOND = "Anthem Bridge Circus Detective Empire Forest Garden Harbour Island Journey Kitchen Letter Mirror Night"
_SECOND += " Ocean Promise Queen River Station Tide Universe Valley Wedding Year Zoo"


class SimulatedSource:
    """Lands a `Service`. Members and titles are changes since `OPENS`, so every day of them is needed."""

    tables: tuple[str, ...] = ("users", "items", "impressions", "events")
    entities = frozenset({"users", "items"})

    def __init__(self, service: Service) -> None:
        self.service = service
        self.name = f"simulated-{service.users}x{service.items}-{service.seed}"
        self._inputs = _generator_digest(service)
        self._late: dict[int, Activity] = {}

    def partitions(self, table: str, start: date, end: date) -> Iterable[date]:
        """List the days of a table that a reader of [start, end] needs.

        Raises:
            SourceError: the range begins before the simulated service opened.
        """
        if start < OPENS:
            raise SourceError(
                f"source {self.name}: found start {start}; the simulated service has logs from {OPENS} on; "
                f"set `start: {OPENS}` or later in the pipeline file"
            )
        first = OPENS if table in self.entities else start
        return [first + timedelta(days=number) for number in range((end - first).days + 1)]

    def inputs(self, table: str, day: date) -> str:
        """Hash what makes a partition: the generator's code and its parameters, the same for every day."""
        return self._inputs

    def read(self, day: date, tables: Iterable[str]) -> dict[str, pa.Table]:
        """Draw the rows that arrived on a day, as one Arrow table each, in their landed order."""
        number = day_number(day)
        wanted = set(tables)
        makers = {"users": self._users, "items": self._items}
        result = {name: make(number) for name, make in makers.items() if name in wanted}
        if wanted & {"impressions", "events"}:
            result |= self._logs(number)
        return {name: result[name] for name in self.tables if name in wanted}

    def _logs(self, day: int) -> dict[str, pa.Table]:
        today = simulate(self.service, day)
        # Late rows of the days before are kept: simulated again for each day they arrive on, a day would cost four.
        self._late = {then: rows for then, rows in self._late.items() if day - LATEST <= then < day}
        parts = [(day, _known(today, 0))]
        for back in range(1, min(LATEST, day) + 1):
            if day - back not in self._late:
                self._late[day - back] = _after(simulate(self.service, day - back))
            parts.append((day - back, _known(self._late[day - back], back)))
        self._late[day] = _after(today)
        rng = stream(self.service.seed, _DIRT_STREAM, day)
        impressions = pa.concat_tables([_impressions(then, rows.impressions) for then, rows in parts])
        events = pa.concat_tables([_event_rows(then, rows.events) for then, rows in parts])
        return {
            # The two share a generator, so their order is part of the log.
            "impressions": self._soil(impressions.sort_by("impression_id"), rng),
            "events": self._soil(self._soil_values(events.sort_by("event_id"), rng), rng),
        }

    def _soil_values(self, rows: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Make some fractions impossible and some events happen after they were known."""
        count, dirt = rows.num_rows, self.service.dirt
        impossible = (rng.random(count) < dirt.impossible) & (rows["kind"].to_numpy() == KINDS[PLAY])
        wrong = np.where(rng.random(count) < 0.5, 7.3, -1.0)
        future = rng.random(count) < dirt.future
        ahead = rows["known_at"].to_numpy() + rng.integers(1, 48, count) * np.timedelta64(3_600_000_000, "us")
        value = np.where(impossible, wrong, rows["value"].to_numpy())
        happened = np.where(future, ahead, rows["occurred_at"].to_numpy())
        rows = rows.set_column(rows.schema.get_field_index("value"), "value", pa.array(value))
        return rows.set_column(rows.schema.get_field_index("occurred_at"), "occurred_at", pa.array(happened, _TIME))

    def _soil(self, rows: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Lose some ids, deliver some rows twice."""
        count, dirt = rows.num_rows, self.service.dirt
        lost, which = rng.random(count) < dirt.null_ids, rng.random(count) < 0.5
        for name, mask in (("user_id", lost & which), ("item_id", lost & ~which)):
            column = pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), rows[name])
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        times = 1 + (rng.random(count) < dirt.duplicates)
        return rows.take(pa.array(np.repeat(np.arange(count), times)))

    def _users(self, day: int) -> pa.Table:
        who = self.service.world.members
        joined = (who.joined <= 0) if day == 0 else (who.joined == day)
        rows = np.flatnonzero(joined | (who.moved == day) | (who.switched == day))
        plan = np.where(who.switched[rows] <= day, who.switched_to[rows], who.plan[rows])
        joined_at = instant(who.joined[rows], who.joined_second[rows])
        changed_at = np.where(joined[rows], joined_at, instant(day, who.joined_second[rows]))
        return pa.table(
            {
                "user_id": _ids("u", rows + 1),
                "region": _names(REGIONS, self.service.world.regions(rows, day)),
                "joined_at": joined_at,
                "plan": _names(PLANS, plan),
                "changed_at": changed_at,
            },
            schema=SCHEMAS["users"],
        )

    def _items(self, day: int) -> pa.Table:
        titles = self.service.world.titles
        new = (titles.announced <= 0) if day == 0 else (titles.announced == day)
        rows = np.flatnonzero(new | (titles.refiled == day))
        category = np.where(titles.refiled[rows] <= day, titles.category[rows], titles.filed_as[rows])
        changed = np.where(new[rows], titles.announced[rows], day)
        return pa.table(
            {
                "item_id": _ids("i", rows + 1),
                "title": pa.array([title(int(row)) for row in rows], pa.string()),
                "category": _names(CATEGORIES, category),
                "released_at": instant(titles.released[rows], 0),
                "changed_at": instant(changed, 0),
            },
            schema=SCHEMAS["items"],
        )


def title(index: int) -> str:
    """Name a title; names differ."""
    first, second = _FIRST.split(), _SECOND.split()
    number, place = divmod(index, len(first) * len(second))
    name = f"{first[place % len(first)]} {second[(place // len(first) + place % len(first)) % len(second)]}"
    return name if number == 0 else f"{name} {number + 1}"


def _generator_digest(service: Service) -> str:
    code = room_digest(__name__.removeprefix(f"{ROOT}."))
    parameters = {"users": service.users, "items": service.items, "seed": service.seed}
    # numpy does not promise that another version draws the same numbers from a seed (NEP 19).
    return digest({"code": code, "numpy": np.__version__, **parameters, "dirt": vars(service.dirt)})


def _known(rows: Activity, days_later: int) -> Activity:
    return Activity(_on(rows.impressions, days_later), _on(rows.events, days_later))


def _on(rows: Columns, days_later: int) -> Columns:
    mask = rows["known"].astype(np.int64) // 86_400 == days_later
    return {name: column[mask] for name, column in rows.items()}


def _after(rows: Activity) -> Activity:
    """Keep the rows that became known on a later day than their own."""
    kept = [
        {name: column[table["known"].astype(np.int64) >= 86_400] for name, column in table.items()}
        for table in (rows.impressions, rows.events)
    ]
    return Activity(kept[0], kept[1])


def _ids(prefix: str, numbers: npt.NDArray[np.generic], width: int = 6) -> pa.Array:
    text = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, text, "")


def _names(names: tuple[str, ...], index: npt.NDArray[np.generic]) -> pa.Array:
    return pa.array(names).take(pa.array(index))


def _request_ids(day: int, user: Ints) -> pa.Array:
    return _ids(f"r{OPENS + timedelta(days=day):%Y%m%d}-", user + 1)


def _impressions(day: int, rows: Columns) -> pa.Table:
    user, position = rows["user"].astype(np.int64), rows["position"].astype(np.int64)
    request = _request_ids(day, user)
    return pa.table(
        {
            "impression_id": pc.binary_join_element_wise(request, _ids("", position, 2), "-"),
            "request_id": request,
            "user_id": _ids("u", user + 1),
            "item_id": _ids("i", rows["item"].astype(np.int64) + 1),
            "position": position.astype(np.int32),
            "policy": _names(POLICIES, rows["policy"]),
            "propensity": rows["propensity"],
            "shown_at": instant(day, rows["second"].astype(np.int64)),
            "known_at": instant(day, rows["known"].astype(np.int64)),
        },
        schema=SCHEMAS["impressions"],
    )


def _event_rows(day: int, rows: Columns) -> pa.Table:
    user = rows["user"].astype(np.int64)
    request = pc.if_else(pa.array(rows["requested"]), _request_ids(day, user), pa.scalar(None, pa.string()))
    return pa.table(
        {
            "event_id": _ids(f"e{OPENS + timedelta(days=day):%Y%m%d}-", rows["number"], 7),
            "user_id": _ids("u", user + 1),
            "item_id": _ids("i", rows["item"].astype(np.int64) + 1),
            "kind": _names(KINDS, rows["kind"]),
            "value": rows["value"],
            "request_id": request,
            "occurred_at": instant(day, rows["second"].astype(np.int64)),
            "known_at": instant(day, rows["known"].astype(np.int64)),
        },
        schema=SCHEMAS["events"],
    )
