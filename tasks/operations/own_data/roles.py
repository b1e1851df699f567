"""What the columns of a table of interactions are: whose, of what, when, how much; asked where names do not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.errors import SpecError
from tasks.operations.own_data.columns import Column, TypedTable

Ask = Callable[[str, Sequence[str], str], str]
"""A question, the answers that there are, and the best guess."""
NONE = "none"
EPOCHS = {"epoch_seconds": (10**8, 4 * 10**9), "epoch_milliseconds": (10**11, 4 * 10**12)}
_NUMBER = re.compile(r"\d+(\.\d+)?")
_USER = "user|customer|client|member|visitor|person|account|reviewer|shopper|player|buyer"
_ITEM = "item|product|movie|film|article|stock|sku|book|song|track|video|asin|content|business|listing|goods|game|ad"
_NAMES = {
    "user": rf"({_USER}|u)(_?(id|no|nr|key|code|number|uuid))?",
    "item": rf"({_ITEM}|i)(_?(id|no|nr|key|code|number|uuid))?",
    "value": r"rating|score|stars|value|quantity|qty|amount|count|plays|watch_time|duration|weight",
    "kind": r"event|event_type|event_name|action|action_type|type|behaviou?r|behaviou?r_type|interaction|kind",
    "time": r".*(time|timestamp|date|_at|_ts)|ts|t|at|day|date.*|time.*",
    "position": r"position|pos|rank|slot|place",
    "click": r"click|clicked|is_click|clicks",
    "propensity": r"propensity|propensity_score|probability|prob|pscore",
    "request": r"(request|impression|search|query|slate|list)(_?id)?",
    "title": r"title|name|description|product_name|item_name|movie_title",
    "category": r"category.*|genres?|department|brand|type|group|topic|.*category",
}


@dataclass(frozen=True)
class Roles:
    """Landed names of the columns that are something; none where there is no such column.

    Attributes:
        user: several are one id together.
        time_unit: how `time` is to be read; none: rows are of the day of their file.
    """

    user: tuple[str, ...]
    item: str
    time: str | None = None
    time_unit: str | None = None
    value: str | None = None
    kind: str | None = None
    position: str | None = None
    click: str | None = None
    propensity: str | None = None
    request: str | None = None
    title: str | None = None
    category: str | None = None

    @property
    def used(self) -> set[str]:
        """The columns that staging reads."""
        names = (self.time, self.title, self.category)
        more = (self.position, self.click, self.propensity, self.request) if self.shown else (self.value, self.kind)
        return {*self.user, self.item, *(name for name in (*names, *more) if name)}

    @property
    def shown(self) -> bool:
        """Whether a row is an item that was shown, with a click or without."""
        return self.click is not None


def named(table: TypedTable, role: str, among: Iterable[str] | None = None) -> list[str]:
    """List the columns whose name says that they have a role."""
    columns = table.names if among is None else among
    return [name for name in columns if re.fullmatch(_NAMES[role], name)]


def has_events(table: TypedTable) -> bool:
    """Whether a table could be of interactions: it has a time, or a file per day, and two columns for ids."""
    return (table.found.daily or bool(_times(table))) and len(_ids(table, ())) >= 2


def time_unit(table: TypedTable, name: str) -> str | None:
    """How a column's values are to be read as times; none if they are none."""
    column = table[name]
    if column.type in {"TIMESTAMP", "DATE"}:
        return column.type.lower()
    if column.type != "BIGINT":
        return None
    numbers = [
        int(float(text)) for text in table.texts(name).drop_null().slice(0, 1000).to_pylist() if _is_number(text)
    ]
    for unit, (least, most) in EPOCHS.items():
        if numbers and all(least <= number <= most for number in numbers):
            return unit
    return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(\.0*)?\s*", text) is not None


def _times(table: TypedTable) -> list[str]:
    """Columns that are times, those first whose name says so."""
    found = [name for name in table.names if time_unit(table, name)]
    return sorted(found, key=lambda name: (not named(table, "time", [name]), time_unit(table, name) == "date"))


def _ids(table: TypedTable, taken: Iterable[str]) -> list[str]:
    """Columns that could be ids: texts or whole numbers, of more than one value, none of them a time."""
    columns = (column for column in table.columns if column.name not in taken and _could_be_id(table, column))
    return [column.name for column in columns]


def _could_be_id(table: TypedTable, column: Column) -> bool:
    if column.type not in {"VARCHAR", "BIGINT"} or time_unit(table, column.name):
        return False
    return len(table.texts(column.name).slice(0, 100_000).unique()) > 1


def guess_roles(table: TypedTable, ask: Ask) -> Roles:
    """Find what the columns of a table of interactions are.

    Args:
        table: the interactions.
        ask: is asked what the names do not tell.

    Raises:
        SpecError: no column can be a user or an item.
    """
    optional: dict[str, Any] = {
        role: next(iter(named(table, role)), None)
        for role in ("value", "kind", "position", "click", "propensity", "request", "title", "category")
    }
    optional["click"] = optional["click"] if _is_flag(table, optional["click"]) else None
    if optional["kind"] and not _is_kind(table, optional["kind"]):
        optional["kind"] = None
    time, unit = _time(table, ask)
    taken = {name for name in (*optional.values(), time) if name}
    ids = _ids(table, taken)
    user = _user(table, ids, ask)
    rest = [name for name in ids if name not in user]
    item = _one(named(table, "item", rest), rest, "Which column is the item (what is recommended)?", ask)
    if optional["value"] is None and not any(table.found.header):
        optional["value"] = _unnamed_value(table, {*user, item, time or ""})
    return Roles(user=user, item=item, time=time, time_unit=unit, **optional)


def _time(table: TypedTable, ask: Ask) -> tuple[str | None, str | None]:
    times = _times(table)
    sure = [name for name in times if named(table, "time", [name])]
    if not times:
        return None, None
    choices = [*times, *([NONE] if table.found.daily else [])]
    time = (
        times[0] if len(times) == 1 or len(sure) == 1 else ask("Which column says when it was done?", choices, times[0])
    )
    return (None, None) if time == NONE else (time, time_unit(table, time))


def _user(table: TypedTable, ids: Sequence[str], ask: Ask) -> tuple[str, ...]:
    sure = named(table, "user", ids)
    parts = [name for name in table.names if re.fullmatch(rf"({_USER})_(feature|attribute|segment)_?\d+", name)]
    if not sure and parts:
        return tuple(parts)  # nobody's name is logged: a user is everybody of whom the same is
    return (_one(sure, ids, "Which column is the user (who gets recommendations)?", ask),)


def _one(sure: Sequence[str], possible: Sequence[str], question: str, ask: Ask) -> str:
    if len(sure) == 1:
        return sure[0]
    if not possible:
        raise SpecError(f"{question} Found no column of ids; expected one of texts or whole numbers that differ")
    return ask(question, list(possible), (*sure, *possible)[0])


def _is_flag(table: TypedTable, name: str | None) -> bool:
    return name is not None and set(table.texts(name).unique().to_pylist()) <= {"0", "1", "0.0", "1.0", None}


def _is_kind(table: TypedTable, name: str) -> bool:
    return table[name].type == "VARCHAR" and 1 <= len(table.texts(name).unique().drop_null()) <= 30


def _unnamed_value(table: TypedTable, taken: set[str]) -> str | None:
    """In a file without names: a column of few different numbers is a rating."""
    for column in table.columns:
        few = len(table.texts(column.name).unique()) <= 20
        if column.name not in taken and column.type in {"BIGINT", "DOUBLE"} and few:
            return column.name
    return None


def has_ratings(table: TypedTable, name: str) -> bool:
    """Whether a column has the numbers of a scale: 1 to 5 or to 10, in whole or half steps."""
    numbers = [float(text) for text in table.texts(name).drop_null().unique().to_pylist() if _NUMBER.fullmatch(text)]
    return (
        2 < len(numbers) <= 20
        and min(numbers) >= 0
        and max(numbers) in {5, 10}
        and all(2 * n % 1 == 0 for n in numbers)
    )
