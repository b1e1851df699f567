"""The features, straight from their definition: loops over rows, no windows, no running sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

LONGEST = 365
NEVER = 366
ACTIONS = {"play", "purchase", "rating", "click"}


@dataclass(frozen=True)
class Row:
    """Something that happened on `day` and arrived on `ds`; kind `impression` for something shown."""

    user_id: str
    item_id: str
    kind: str
    value: float
    day: date
    ds: date


@dataclass(frozen=True)
class Past:
    """What had happened and was known as of a day."""

    as_of: date
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, rows: Iterable[Row], as_of: date) -> Past:
        seen = (r for r in rows if r.ds <= as_of and 0 <= (as_of - r.day).days < LONGEST)
        return cls(as_of, tuple(seen))

    def last(self, days: int, wanted: Callable[[Row], bool]) -> list[Row]:
        return [r for r in self.rows if (self.as_of - r.day).days < days and wanted(r)]

    def actions(self, days: int) -> list[Row]:
        return self.last(days, lambda r: r.kind in ACTIONS)

    def kind(self, kind: str, days: int) -> list[Row]:
        return self.last(days, lambda r: r.kind == kind)

    def active_days(self, days: int) -> list[date]:
        return sorted({r.day for r in self.actions(days)})

    def quantity(self, days: int) -> float:
        return sum(round(r.value * 2**20) / 2**20 for r in self.actions(days))

    def since_last(self) -> int:
        days = self.active_days(LONGEST)
        return (self.as_of - days[-1]).days if days else NEVER

    def since_first(self) -> int:
        days = self.active_days(LONGEST)
        return (self.as_of - days[0]).days if days else NEVER

    def unclicked(self, days: int) -> list[Row]:
        acted = {(r.user_id, r.item_id, r.day, r.ds) for r in self.rows if r.kind in ACTIONS}
        return [r for r in self.kind("impression", days) if (r.user_id, r.item_id, r.day, r.ds) not in acted]

    def click_rate(self, days: int) -> float:
        shown = len(self.kind("impression", days))
        return (shown - len(self.unclicked(days)) + 1) / (shown + 20)

    def trend(self) -> float:
        return (4 * len(self.actions(7)) + 1) / (len(self.actions(28)) + 1)

    def split(self, by: Callable[[Row], str]) -> dict[str, Past]:
        parts: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            parts[by(row)].append(row)
        return {key: Past(self.as_of, tuple(rows)) for key, rows in parts.items()}

    def repeated(self, by: Callable[[Row], str]) -> tuple[int, int]:
        """Return how many others there were actions with, and with how many of them on two days or more."""
        days = [len(part.active_days(LONGEST)) for part in self.split(by).values()]
        return sum(n > 0 for n in days), sum(n > 1 for n in days)


def counts(prefix: str, past: Past, windows: Iterable[int] = (7, 28, 90, 365)) -> dict[str, float]:
    return {f"{prefix}_actions_{days}d": len(past.actions(days)) for days in windows}


def recency(prefix: str, past: Past) -> dict[str, float]:
    return {
        f"{prefix}_days_since_action": past.since_last(),
        f"{prefix}_days_since_first_action": past.since_first(),
    }


def user_item(past: Past, everything: Past) -> dict[str, float]:
    """Return the features of a pair, or nothing where it has no row; `everything` is all of the user's past."""
    days = past.active_days(LONGEST)
    ever = everything.active_days(LONGEST)
    shown = past.kind("impression", 28)
    if not (days or shown or past.kind("list_add", 28) or past.kind("cancellation", 365)):
        return {}
    return {
        **counts("user_item", past),
        **recency("user_item", past),
        "user_item_active_days_365d": len(days),
        "user_item_quantity_365d": past.quantity(365),
        "user_item_saves_28d": len(past.kind("list_add", 28)),
        "user_item_undos_365d": len(past.kind("cancellation", 365)),
        "user_item_impressions_7d": len(past.kind("impression", 7)),
        "user_item_impressions_28d": len(shown),
        "user_item_unclicked_28d": len(past.unclicked(28)),
        "user_item_mean_gap": (days[-1] - days[0]).days / (len(days) - 1) if len(days) > 1 else NEVER,
        "user_item_action_share_365d": len(past.actions(365)) / max(len(everything.actions(365)), 1),
        "user_item_days_before_last": (ever[-1] - days[-1]).days if days else NEVER,
        "user_item_due": past.since_last() * (len(days) - 1) / max((days[-1] - days[0]).days, 1) if days else 0,
    }


def user(past: Past) -> dict[str, float]:
    items, repeated = past.repeated(lambda r: r.item_id)
    return {
        **counts("user", past),
        **recency("user", past),
        "user_active_days_28d": len(past.active_days(28)),
        "user_active_days_365d": len(past.active_days(365)),
        "user_quantity_28d": past.quantity(28),
        "user_quantity_365d": past.quantity(365),
        "user_saves_28d": len(past.kind("list_add", 28)),
        "user_undos_365d": len(past.kind("cancellation", 365)),
        "user_impressions_28d": len(past.kind("impression", 28)),
        "user_ctr_28d": past.click_rate(28),
        "user_items_365d": items,
        "user_repeat_share_365d": repeated / max(items, 1),
        "user_trend": past.trend(),
    }


def item(past: Past) -> dict[str, float]:
    users, repeated = past.repeated(lambda r: r.user_id)
    return {
        **counts("item", past),
        **recency("item", past),
        **{f"item_users_{days}d": len({r.user_id for r in past.actions(days)}) for days in (7, 28, 90)},
        "item_users_365d": users,
        "item_repeat_share_365d": repeated / max(users, 1),
        "item_quantity_per_action_365d": past.quantity(365) / max(len(past.actions(365)), 1),
        "item_saves_28d": len(past.kind("list_add", 28)),
        "item_undos_365d": len(past.kind("cancellation", 365)),
        "item_impressions_7d": len(past.kind("impression", 7)),
        "item_impressions_28d": len(past.kind("impression", 28)),
        "item_ctr_7d": past.click_rate(7),
        "item_ctr_28d": past.click_rate(28),
        "item_trend": past.trend(),
        "item_users_trend_28d": (3 * len({r.user_id for r in past.actions(28)}) + 1)
        / (len({r.user_id for r in past.actions(90)}) + 1),
        "item_users_trend_90d": (4 * len({r.user_id for r in past.actions(90)}) + 1) / (users + 1),
    }


def user_category(past: Past, everything: Past) -> dict[str, float]:
    """Return the features of a user and category, or nothing where there is no row."""
    if not past.actions(LONGEST):
        return {}
    return {
        **counts("user_category", past, (28, 365)),
        "user_category_share_28d": len(past.actions(28)) / max(len(everything.actions(28)), 1),
        "user_category_share_365d": len(past.actions(365)) / len(everything.actions(365)),
        "user_category_days_since_action": past.since_last(),
    }


@dataclass(frozen=True)
class Change:
    """What became known of a user or item on a day."""

    key: str
    ds: date
    values: dict[str, Any]


def known(changes: Iterable[Change], key: str, as_of: date) -> dict[str, Any] | None:
    """Return the last that was known of a user or item as of a day."""
    seen = [c for c in changes if c.key == key and c.ds <= as_of]
    return max(seen, key=lambda c: c.ds).values if seen else None
