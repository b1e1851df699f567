"""The dataset file, the pipeline file and the README of a first project."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from tasks.operations.own_data.activity import REPEATED, Activity
from tasks.operations.own_data.columns import Column, TypedTable
from tasks.operations.own_data.entities import Entity
from tasks.operations.own_data.kinds_of_rows import RowKinds
from tasks.operations.own_data.roles import Roles
from tasks.spec.project import new_project

DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LIKED = 0.8
"""Of the highest rating, what counts as liked."""
SNAPSHOT_FEATURES = (
    "als_score", "als_rank", "item_item_score", "item_item_rank", "popularity_rank", "item_actions_28d",
    "item_actions_365d", "item_days_since_action", "user_actions_28d", "user_actions_365d", "user_days_since_action",
)  # fmt: skip
REPEAT_FEATURES = (
    "history_score", "history_rank", "user_item_actions_28d", "user_item_actions_365d", "user_item_active_days_365d",
    "user_item_days_since_action", "item_repeat_share_365d",
)  # fmt: skip
SHOWN_FEATURES = (
    "popularity_score", "item_actions_28d", "item_ctr_28d", "item_impressions_28d", "user_item_impressions_7d",
)  # fmt: skip


@dataclass(frozen=True)
class OwnData:
    """What was found in somebody's data, or answered.

    Attributes:
        folder: the files are relative to it; none for a database.
        unused: names of files that say nothing of the interactions.
        paths: of the files that are written, as people are told of them.
        url_env: the variable that has the database's URL.
        left_out: a sentence for what cannot be read: tables and columns of a database, columns of lists or objects.
    """

    name: str
    folder: Path | None
    events: TypedTable
    roles: Roles
    kinds: RowKinds
    entities: Mapping[str, Entity]
    unused: Sequence[str]
    activity: Activity
    paths: Sequence[Path] = ()
    url_env: str | None = None
    left_out: Sequence[str] = ()

    @property
    def next_command(self) -> str:
        """What makes the first ranked lists."""
        data = ["--data", str(self.folder)] if self.folder else []
        return shlex.join(["matinee", "run", self.name, "--as-of", str(self.activity.last), *data])

    @property
    def unused_columns(self) -> Sequence[tuple[TypedTable, Column]]:
        """Columns that nothing reads: of the interactions, then of the tables of items and of users."""
        used = [(self.events, self.roles.used)]
        used += [(entity.table, entity.used) for _, entity in sorted(self.entities.items())]
        return [
            (table, column)
            for table, names in used
            for column in table.columns
            if column.name not in names and column.header not in table.found.key
        ]

    @property
    def most_items(self) -> int | None:
        """Number of items that somebody did something with; none where not all rows were read."""
        return len(self.events.texts(self.roles.item).drop_null().unique()) if self.events.found.whole else None

    @property
    def place(self) -> str:
        """Where the data are; of a database only the name of the variable, for its URL has a password."""
        return str(self.folder) if self.folder else f"the database of ${self.url_env}"


_DONE = {
    "purchase": "purchases", "rating": "ratings", "play": "plays", "list_add": "put on a list", "click": "clicks",
}  # fmt: skip


def in_project(path: Path) -> Path:
    """Name a file as it lies in the project, or in full if it lies elsewhere."""
    return path.relative_to(new_project()) if path.is_relative_to(new_project()) else path


def flow(value: Any) -> str:
    """Write a value in one line of YAML."""
    return json.dumps(value, ensure_ascii=False, default=str)


def dataset_text(own: OwnData) -> str:
    """Write the dataset file."""
    events, roles, activity = own.events, own.roles, own.activity
    first = min(activity.start, activity.first)
    lines = [
        f"name: {own.name}", f"description: Interactions of {events.found.file}, as `matinee init` found them.",
        f"first_day: {first}", f"last_day: {activity.last}",
    ]  # fmt: skip
    lines += _closed(events, first, activity.last) if events.found.daily else []
    lines.append("tables:")
    lines += _table(events, {*roles.user, roles.item, *([roles.kind] if roles.kind else [])}, _day(events, roles))
    for entity in own.entities.values():
        lines += _table(entity.table, {entity.id}, "    static: true")
    return "\n".join(lines) + "\n"


def _day(events: TypedTable, roles: Roles) -> str | None:
    return None if events.found.daily else f"    day: {{column: {roles.time}, unit: {roles.time_unit}}}"


def _table(table: TypedTable, texts: set[str], days: str | None) -> list[str]:
    place = "from" if table.found.kinds else "file"
    lines = [f"  {table.name}:", f"    {place}: {flow(table.found.file)}", *([days] if days else [])]
    key = [column.name for column in table.columns if column.header in table.found.key]
    lines += [f"    key: [{', '.join(key)}]"] if key else []
    lines += [f"    dialect: {flow(dict(table.dialect))}"] if table.dialect else []
    lines.append("    columns:")
    for column, header in zip(table.columns, table.found.header, strict=True):
        # Ids are texts: 007 and 7 are two users.
        kind = "VARCHAR" if column.name in texts else column.type
        named = f"header: {flow(header)}, " if table.dialect.get("header", True) else ""
        lines.append(f"      - {{{named}name: {column.name}, type: {kind}}}")
    return lines


def _closed(events: TypedTable, first: date, last: date) -> list[str]:
    there = set(events.found.days)
    absent = [day for n in range((last - first).days + 1) if (day := first + timedelta(days=n)) not in there]
    weekdays = [number for number in range(7) if not any(day.weekday() == number for day in there)]
    days = [str(day) for day in absent if day.weekday() not in weekdays]
    lines = ["closed:  # days without a file; one that should have a file does not belong here"] if absent else []
    lines += [f"  weekdays: [{', '.join(DAY_NAMES[n] for n in weekdays)}]"] if weekdays else []
    return [*lines, *([f"  days: [{', '.join(days)}]"] if days else [])]


def pipeline_text(own: OwnData) -> str:
    """Write the pipeline file."""
    name, roles, kinds, entities, activity = own.name, own.roles, own.kinds, own.entities, own.activity
    head = [
        f"name: {name}", f"description: {_sentence(kinds, roles, activity)}",
        "schedule: null  # what is there is all that there is; `@daily`, and no `end`, once more comes",
        f"start: {activity.start}", f"end: {activity.last}", "", f"source: {_source(own)}", "",
    ]  # fmt: skip
    body = _of_impressions(entities, activity) if roles.shown else _of_snapshots(kinds, entities, activity)
    if own.most_items is not None:
        body = [_with_k_of_items(line, own.most_items) for line in body]
    return "\n".join([*head, *body]) + "\n"


def _with_k_of_items(line: str, items: int) -> str:
    # No retriever finds more, and the first run would warn of it.
    return re.sub(r"(?<=\bk: )\d+", lambda k: str(min(int(k[0]), items)), line) if "type:" in line else line


def _source(own: OwnData) -> str:
    if own.url_env:
        return f"{{type: sql, dataset: {own.name}, url_env: {own.url_env}}}"
    return f"{{type: files, dataset: {own.name}}}"


def liked_from(kinds: RowKinds, activity: Activity) -> float | None:
    """The least rating that counts as liked; none where the label is not about ratings of a scale."""
    if kinds.label != "rating" or not activity.values:
        return None
    return next(value for value in activity.values if value >= LIKED * activity.most)


def _sentence(kinds: RowKinds, roles: Roles, activity: Activity) -> str:
    if roles.shown:
        return "Orders what is shown, by clicks."
    liked = liked_from(kinds, activity)
    what = f"rated {liked:g} or more" if liked else _DONE[kinds.label]
    return f"Suggests what a user will act on in the next {activity.horizon} days ({what})."


def _of_snapshots(kinds: RowKinds, entities: Mapping[str, Entity], activity: Activity) -> list[str]:
    days, liked, repeats = activity.horizon, liked_from(kinds, activity), activity.repeats > REPEATED
    when = f"kind = '{kinds.label}'" + (f" and value >= {liked:g}" if liked else "")
    features = [*SNAPSHOT_FEATURES, *(REPEAT_FEATURES if repeats else ()), *_attributes(entities, ("user", "item"))]
    least = (
        f"interactions: {{kinds: {{rating: {{least: {liked:g}}}}}}}  # less is no reason to recommend" if liked else ""
    )
    weights = [least, ""] if liked else []
    retrieval = [
        f"  - {{type: als, factors: 64, regularization: 10, alpha: 4, refit: {days}d, k: 100}}",
        f"  - {{type: item_item, regularization: 50, refit: {days}d, k: 100}}",
        "  - {type: popularity, window: 90d, k: 100}",
        *(["  - {type: history, k: 200}"] if repeats else []),
    ]
    windows = f"train: {activity.train * days}d, test: {activity.test * days}d"
    baselines = ["popularity", "als", "item_item", *(["history"] if repeats else [])]
    return [
        *weights, "label:", f"  horizon: {days}d", "  lateness: 0d",
        "  grades:", f'    - {{grade: 1, when: "{when}"}}', "",
        f"examples: {{kind: snapshots, every: {days}d, {windows}}}",
        *([] if repeats else ["candidates: {seen: exclude}  # hardly anybody comes back to an item"]), "",
        "features:", *(f"  - {feature}" for feature in features), "", "sample: {groups: 20_000, seed: 7}", "",
        "retrieval:", *retrieval, "", *_ranker(60, 15, 50),
        "evaluate:", "  metrics: [ndcg@10, recall@20, mrr]", f"  baselines: [{', '.join(baselines)}]", "",
        *_gates("popularity"),
    ]  # fmt: skip


def _of_impressions(entities: Mapping[str, Entity], activity: Activity) -> list[str]:
    features = [*SHOWN_FEATURES, *_attributes(entities, ("user", "item"))]
    return [
        "label:", "  horizon: 1d", "  lateness: 0d", "  attribution: {to: impression, within: 1m}", "  grades:",
        "    - {grade: 1, when: \"kind = 'click'\"}", "",
        f"examples: {{kind: impressions, train: {activity.train}d, validation: 0d, test: {activity.test}d}}", "",
        "features:", *(f"  - {feature}" for feature in features), "", "sample: {groups: 20_000, seed: 7}", "",
        "retrieval:", "  - {type: popularity, window: 28d, k: 100}", "", *_ranker(20, 4, 20),
        "evaluate:", "  metrics: [ndcg@10, mrr]", "  baselines: [popularity, logged_order]", "",
        *_gates("popularity"),
    ]  # fmt: skip


def _ranker(rounds: int, leaves: int, least: int) -> list[str]:
    return [
        "ranker:", "  type: lightgbm", "  objective: lambdarank", f"  rounds: {rounds}", "  learning_rate: 0.05",
        f"  num_leaves: {leaves}", f"  min_data_in_leaf: {least}", "",
    ]  # fmt: skip


def _gates(baseline: str) -> list[str]:
    return [
        "gates:  # a first one, wide, so that few lists can pass it; better ones, to ask for once lists are many:",
        "  # - {metric: ndcg@10, beats: best_baseline, by: 0.005}",
        "  # - {metric: ndcg@10, beats: best_feature}  # the model has to be worth more than any of its features alone",
        f"  - {{metric: ndcg@10, not_worse_than: {baseline}, margin: 0.05}}",
    ]


def _attributes(entities: Mapping[str, Entity], kinds: Sequence[str]) -> list[str]:
    found = [f"{kind}_{column.name}" for kind in kinds if kind in entities for column in entities[kind].attributes]
    return [*found, *(["item_category"] if "item" in entities and entities["item"].category else [])]


def readme_text(own: OwnData) -> str:
    """Write what was assumed, so that somebody who knows the data can say what is wrong."""
    roles, kinds, activity = own.roles, own.kinds, own.activity
    liked = liked_from(kinds, activity)
    test, train = activity.lists
    said = [
        f"Rows are interactions of `{own.events.found.file}`: {activity.rows:,}, {activity.first} to {activity.last}.",
        f"The user is {_code(*roles.user)}, the item `{roles.item}`.",
        f"It was done at `{roles.time}` ({roles.time_unit}), UTC, and known at once."
        if roles.time else "It was done on the day of its file, UTC, and known by its end.",
        f"`{roles.value}` is its number; rows without one, or with one below 0, are rejected."
        if roles.value else "It has no number: each counts 1.",
        _kinds_sentence(own),
        *(f"`{part.table.found.file}` says more of {kind}s." for kind, part in sorted(own.entities.items())),
        *([f"Not used: {_code(*own.unused)}."] if own.unused else []),
        *([f"Columns that nothing uses: {_columns(own.unused_columns)}."] if own.unused_columns else []),
        *(f"Left out: {sentence}" for sentence in own.left_out),
        *([] if own.events.found.whole else ["Only some of its days were read: the numbers here are of those."]),
        *([f"A rating of {liked:g} or more counts as liked."] if liked else []),
        f"{activity.repeats:.0%} of the pairs of user and item happened on several days: lists "
        + ("may repeat items." if activity.repeats > REPEATED or roles.shown else "leave out what a user knows."),
        *([] if roles.shown else [
            f"A label is what happened within {activity.horizon} days of a cut; {activity.train} cuts train on "
            f"{train:,} lists of users with a past, {activity.test} test on {test:,}."
        ]),
        "A column is of numbers, days or times if 99.5 % of its values are; rows with others are rejected.",
        "The gate lets a first model pass that is no worse than popularity. Two better ones are comments in the "
        "pipeline file; `beats: best_feature` asks for more than any feature gives alone: for some hundreds of lists.",
    ]  # fmt: skip
    files = [f"- `{in_project(path)}`" for path in own.paths]
    return "\n".join([
        f"# {own.name}", "", f"Made by `matinee init` from {_code(own.place)}. Delete this page once it is true.", "",
        "## What was assumed", "", *(f"- {line}" for line in said), "", "## Files", "", *files, "",
        "## Next", "", "```sh", own.next_command, "```", "",
    ])  # fmt: skip


def _kinds_sentence(own: OwnData) -> str:
    if own.kinds.always:
        return f"Every row is a `{own.kinds.always}`."
    named = ", ".join(f"`{value}` is a {kind}" for value, kind in own.kinds.by_value.items())
    return f"By `{own.roles.kind}`: {named}; rows of other kinds are rejected."


def _code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _columns(columns: Sequence[tuple[TypedTable, Column]]) -> str:
    return ", ".join(f"`{table.name}.{column.name}` ({column.type})" for table, column in columns)
