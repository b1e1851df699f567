"""Tables that say more about users or items: found by their ids, which are those of the interactions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.operations.own_data.columns import Column, TypedTable
from tasks.operations.own_data.roles import Roles, named

MOST_ATTRIBUTES, MOST_VALUES = 12, 60
COVERED = 0.5
"""Of the ids of the interactions, those that a table must know to be about them."""
# Of the staging contract, which an attribute must not be called.
_TAKEN = re.compile(
    r"region|plan|tenure_band|joined_at|observed_at|title|category|available(_at)?|policy|propensity|position|shown_at|"
    r"known_at|weight|grade|cut|as_of|best|worst|place|(user|item|request|group|example|impression)_id|valid_\w+"
)


@dataclass(frozen=True)
class Entity:
    """A table about users or items, a row each.

    Attributes:
        kind: whose it is.
        id: its column of ids.
        title: of items, what people call them.
        category: of items, one of few.
        attributes: other columns that say something, of few values or of numbers.
    """

    kind: Literal["user", "item"]
    table: TypedTable
    id: str
    title: str | None
    category: str | None
    attributes: tuple[Column, ...]

    @property
    def used(self) -> set[str]:
        """The columns that staging reads."""
        names = (self.title, self.category, *(column.name for column in self.attributes))
        return {self.id, *(name for name in names if name)}


def find_entities(events: TypedTable, roles: Roles, tables: Sequence[TypedTable]) -> dict[str, Entity]:
    """Find the table of users and that of items; of several, the one that says most."""
    ids = {"item": _texts(events, roles.item)}
    if len(roles.user) == 1:
        ids["user"] = _texts(events, roles.user[0])
    found: dict[str, list[tuple[int, bool, Entity]]] = {}
    for table in tables:
        if table is events or table.found.daily or not table.found.whole:
            continue
        for name in table.names:
            own = _texts(table, name)
            if len(own) < table.found.rows.num_rows:
                continue  # no key: several rows would say different things of one
            alike = {kind: len(own & known) / len(own | known) for kind, known in ids.items() if own | known}
            # Users 1 to 943 are among the items 1 to 1682, too: the set that is most alike is meant.
            kind = max(alike, key=lambda each: alike[each], default=None)
            if kind is not None and len(own & ids[kind]) >= COVERED * len(ids[kind]):
                entity = _entity(kind, table, name)
                says = 3 * bool(entity.title) + 3 * bool(entity.category) + len(entity.attributes)
                found.setdefault(kind, []).append((says, bool(named(table, kind, [name])), entity))
    return {kind: max(entities, key=lambda each: each[:2])[2] for kind, entities in found.items()}


def _texts(table: TypedTable, name: str) -> set[str]:
    return set(table.texts(name).drop_null().unique().to_pylist())


def _entity(kind: str, table: TypedTable, key: str) -> Entity:
    names = [name for name in table.names if name != key]
    title = next(iter(named(table, "title", names)), None)
    if title is None and not any(table.found.header):
        title = next((name for name in names if _is_title(table, name)), None)
    category = next((name for name in named(table, "category", names) if name != title), None)
    attributes = [
        table[name]
        for name, header in zip(table.names, table.found.header, strict=True)
        if header and name not in {key, title, category} and not _TAKEN.fullmatch(name) and _says_something(table, name)
    ]
    is_item = kind == "item"
    return Entity(
        "item" if is_item else "user", table, key, title if is_item else None, category if is_item else None,
        tuple(attributes[:MOST_ATTRIBUTES]),
    )  # fmt: skip


def _is_title(table: TypedTable, name: str) -> bool:
    texts = table.texts(name).drop_null()
    differing = len(texts.unique())
    first = texts[0].as_py() if len(texts) else ""
    return table[name].type == "VARCHAR" and differing > 0.9 * table.found.rows.num_rows and "://" not in first


def _says_something(table: TypedTable, name: str) -> bool:
    values = len(table.texts(name).drop_null().unique())
    if table[name].type == "VARCHAR":
        return 2 <= values <= MOST_VALUES
    # Whole numbers that nearly all differ are another id.
    is_id = table[name].type == "BIGINT" and values > 0.9 * table.found.rows.num_rows
    return table[name].type in {"DOUBLE", "BIGINT"} and values >= 2 and not is_id
