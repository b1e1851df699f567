"""What a row of the interactions says was done: one of matinee's kinds, by the words that people use for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.operations.own_data.columns import TypedTable
from tasks.operations.own_data.roles import NONE, Ask, Roles

KINDS = ("purchase", "rating", "play", "list_add", "click")
"""Those that a label may be about, the one first that says most."""
_WORDS = {
    "cancellation": r"cancel|return|refund",
    "purchase": r"purchase|buy|bought|order|transaction|paid|sale|invoice|price|quantity|qty|amount",
    "list_add": r"cart|basket|fav|wish|save|like|bookmark|follow",
    "rating": r"rat(e|ing)|review|stars|score",
    "play": r"play|watch|listen|stream|finish|complete",
    "click": r"view|click|pv|visit|open|detail|impression|search",
}


@dataclass(frozen=True)
class RowKinds:
    """How a row's kind is told.

    Attributes:
        by_value: kind of each value of the column `kind`, of those that are known.
        always: kind of every row, if there is no such column.
    """

    by_value: Mapping[str, str]
    always: str | None

    @property
    def all(self) -> set[str]:
        """The kinds that there are."""
        return {*self.by_value.values(), *([self.always] if self.always else [])}

    @property
    def label(self) -> str:
        """The kind that the first label is about."""
        return next((kind for kind in KINDS if kind in self.all), "click")


def guess_kinds(events: TypedTable, roles: Roles, ask: Ask) -> RowKinds:
    """Find what was done; asks what the words do not tell."""
    if roles.shown:
        return RowKinds({}, "click")
    if roles.kind is None:
        words = " ".join((events.name, *events.names))
        guess = "rating" if roles.value and re.search(_WORDS["rating"], roles.value) else _kind_of(words)
        sure = guess is not None
        guess = guess or ("rating" if roles.value and not any(events.found.header) else "click")
        always = guess if sure else ask("What does a row say that somebody did?", [*KINDS], guess)
        return RowKinds({}, always)
    by_value = {}
    for value in sorted(events.texts(roles.kind).drop_null().unique().to_pylist()):
        guess = _kind_of(value.lower())
        question = f"What is a row with {roles.kind} = {value!r}? ({NONE}: its rows are rejected)"
        kind = guess or ask(question, [*KINDS, "cancellation", NONE], NONE)
        if kind != NONE:
            by_value[value] = kind
    return RowKinds(by_value, None if by_value else "click")


def _kind_of(words: str) -> str | None:
    return next((kind for kind, pattern in _WORDS.items() if re.search(pattern, words)), None)
