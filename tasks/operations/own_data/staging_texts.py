"""The SQL models and the yml of a first staging folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import indent

from tasks.operations.own_data.columns import Column, TypedTable
from tasks.operations.own_data.entities import Entity
from tasks.operations.own_data.kinds_of_rows import RowKinds
from tasks.operations.own_data.roles import Roles
from tasks.store.sql import identifier, literal

ACTED_AT, WHO = "acted_at", "who"
TYPES = {"VARCHAR": "varchar", "DOUBLE": "double", "BIGINT": "bigint"}
_CONFIG = "{{ config(materialized='table') }}"


def staging_models(events: TypedTable, roles: Roles, kinds: RowKinds, entities: Mapping[str, Entity]) -> dict[str, str]:
    """Write the models that the data say something in, by name; the others are matinee's defaults."""
    models = _shown(events, roles) if roles.shown else {"stg_interactions": _interactions(events, roles, kinds)}
    base = "stg_shown" if roles.shown else "stg_interactions"
    for kind in ("user", "item"):
        if kind in entities:
            models[f"stg_{kind}s"] = _entity(entities[kind])
        elif kind == "item" and (roles.title or roles.category or roles.shown):
            models["stg_items"] = _items_of_events(roles, base)
        elif roles.shown:
            when = ["shown_at as joined_at", "shown_at as observed_at", "ds", "rule"]
            columns = ["user_id", "'*' as region", "'*' as plan", *when]
            models["stg_users"] = _select(columns, "{{ ref('stg_shown') }}", "{{ config(materialized='ephemeral') }}")
    return models


def staging_yml(events: TypedTable, roles: Roles, entities: Mapping[str, Entity]) -> str:
    """Write the yml: attributes, the test that every row is accounted for, and why rows are rejected."""
    lines = ["version: 2", "", "models:"]
    name, accepted = ("stg_shown", "impressions") if roles.shown else ("stg_interactions", "interactions")
    lines += _model(name, f"A row per line of {events.found.file}.", events.name, accepted, ())
    for kind, entity in sorted(entities.items()):
        about = f"A row per line of {entity.table.found.file}."
        lines += _model(f"stg_{kind}s", about, entity.table.name, None, entity.attributes)
    if roles.shown:
        lines += ["  - {name: stg_impressions, description: What was shown.}"]
        lines += ["  - {name: stg_interactions, description: Clicks on what was shown.}"]
        lines += [
            f"  - {{name: stg_{kind}s, description: As seen when shown.}}"
            for kind in ("user", "item")
            if kind not in entities
        ]
    elif "item" not in entities and (roles.title or roles.category):
        lines += ["  - {name: stg_items, description: Items as the interactions name them.}"]
    lines += ["  - name: stg_rejected_rows", "    description: A row per rejected row.", "    config:", "      meta:"]
    lines += [
        "        rules:  # why a row is rejected",
        '          impossible_value: "A number is missing, or below 0."',
    ]
    lines += ['          unknown_kind: "What was done is none of the kinds that the pipeline knows."']
    return "\n".join(lines) + "\n"


def _model(name: str, about: str, table: str, accepted: str | None, attributes: tuple[Column, ...]) -> Iterator[str]:
    more = f", accepted: ref('{accepted}')" if accepted else ""
    yield from (f"  - name: {name}", f'    description: "{about}"', "    data_tests:")
    yield f"      - accounts_for_landed: {{arguments: {{table: {table}{more}}}}}"
    if attributes:
        yield "    columns:"
    for column in attributes:
        meta = "config: {meta: {attribute: true}}"
        yield f'      - {{name: {column.name}, data_type: {TYPES[column.type]}, description: "{column.name}.", {meta}}}'


def _interactions(events: TypedTable, roles: Roles, kinds: RowKinds) -> str:
    user, item = _user(roles), identifier(roles.item)
    rules = [f"when {_missing(roles)} then 'missing_id'", *_time_rules(roles)]
    value = f"cast({identifier(roles.value)} as double)" if roles.value else "1.0e0"
    if roles.value:
        rules.append(f"when not coalesce({identifier(roles.value)} >= 0, false) then 'impossible_value'")
    kind = literal(kinds.always or "")
    if kinds.always is None and roles.kind:
        named = [f"when {literal(text)} then {literal(kind)}" for text, kind in kinds.by_value.items()]
        kind = "\n".join([f"case {identifier(roles.kind)}", *(f"    {line}" for line in named), "end"])
        known = ", ".join(literal(text) for text in kinds.by_value)
        rules.append(f"when not coalesce({identifier(roles.kind)} in ({known}), false) then 'unknown_kind'")
    columns = [
        f"{_ROW_ID} as interaction_id", f"{user} as user_id", f"{item} as item_id", f"{kind} as kind",
        f"{value} as value", f"{ACTED_AT} as occurred_at", f"{ACTED_AT} as known_at", *_named_items(roles),
        "ds", "rule", _row(events.name),
    ]  # fmt: skip
    return _select(columns, "ruled", f"{_CONFIG}\n\n{_ruled(events, roles, rules)}")


_ROW_ID = "cast(ds as varchar) || '/' || cast(line_number as varchar)"


def _row(table: str) -> str:
    return f"{{{{ rejected_row('{table}') }}}} as \"row\""


def _user(roles: Roles) -> str:
    return identifier(roles.user[0]) if len(roles.user) == 1 else WHO


def _missing(roles: Roles) -> str:
    return f"{_user(roles)} is null or {identifier(roles.item)} is null"


def _time_rules(roles: Roles) -> list[str]:
    if roles.time is None:
        return []
    late = f"when cast({ACTED_AT} as date) > ds then 'occurred_after_known'"
    return [f"when {ACTED_AT} is null then 'missing_time'", late]


def _ruled(events: TypedTable, roles: Roles, rules: list[str]) -> str:
    time = identifier(roles.time) if roles.time else "ds"
    at = {
        "epoch_seconds": f"from_epoch_seconds({time!r})",
        "epoch_milliseconds": f"from_epoch_seconds({f'({time} // 1000)'!r})",
    }.get(roles.time_unit or "", repr(f"cast({time} as timestamp)"))
    ids = [_user(roles), identifier(roles.item)]
    values = f", values={[identifier(roles.value)]!r}" if roles.value else ""
    body = "\n".join(["case", *(f"    {rule}" for rule in rules), "end"])
    call = f"ruled('{events.name}', derived=derived, ids={ids!r}{values})"
    derived = f"{{%- set derived = {{'{ACTED_AT}': {at}}} %}}"
    if len(roles.user) > 1:
        together = " || '/' || ".join(map(identifier, roles.user))
        derived = f"{{%- set derived = {{\n    '{ACTED_AT}': {at},\n    '{WHO}': {together!r},\n}} %}}"
    return f"{derived}\n\nwith {{% call {call} %}}\n{indent(body, '    ')}\n{{% endcall %}}"


def _named_items(roles: Roles) -> list[str]:
    return [] if not (roles.title or roles.category) else [_title(roles.title, roles.item), _category(roles.category)]


def _title(title: str | None, item: str) -> str:
    if title is None:
        return f"{identifier(item)} as title"
    return f"coalesce(nullif(trim({identifier(title)}), ''), {identifier(item)}) as title"


def _category(category: str | None) -> str:
    if category is None:
        return "'*' as category"
    # Of several with bars between them, the first.
    first = f"{{{{ split_part({identifier(category)!r}, \"'|'\", 1) }}}}"
    return f"coalesce(nullif({first}, ''), '*') as category"


def _items_of_events(roles: Roles, base: str) -> str:
    at = "shown_at" if roles.shown else "occurred_at"
    known = roles.title or roles.category
    named = ["title", "category"] if known else ["item_id as title", "'*' as category"]
    columns = ["item_id", *named, f"{at} as available_at", f"{at} as observed_at", "ds", "rule"]
    return _select(columns, f"{{{{ ref('{base}') }}}}", "{{ config(materialized='ephemeral') }}")


def _entity(entity: Entity) -> str:
    key, table = identifier(entity.id), entity.table.name
    rules = f"    case\n        when {key} is null then 'missing_id'\n    end"
    call = f"with {{% call ruled('{table}', id={key!r}, ids={[key]!r}) %}}\n{rules}\n{{% endcall %}}"
    own = [identifier(column.name) for column in entity.attributes]
    if entity.kind == "item":
        what = [_title(entity.title, entity.id), _category(entity.category), *own]
        when = ["cast(ds as timestamp) as available_at", "cast(ds as timestamp) as observed_at"]
    else:
        what = ["'*' as region", "'*' as plan", *own]
        when = ["cast(ds as timestamp) as joined_at", "cast(ds as timestamp) as observed_at"]
    columns = [
        f"{key} as {entity.kind}_id",
        *what,
        *when,
        "ds",
        "rule",
        _row(table),
    ]
    return _select(columns, "ruled", f"{_CONFIG}\n\n{call}")


def _shown(events: TypedTable, roles: Roles) -> dict[str, str]:
    click, place = identifier(roles.click or ""), identifier(roles.position) if roles.position else None
    rules = [f"when {_missing(roles)} then 'missing_id'", *_time_rules(roles)]
    rules += [f"when {place} is null or {place} < 1 then 'impossible_value'"] if place else []
    rules += [f"when {click} is null then 'impossible_value'"]
    probability = f"cast({identifier(roles.propensity)} as double)" if roles.propensity else "cast(null as double)"
    # Without a request's own id, a list is what a user was shown within an hour; of what was shown again, another one.
    hour = f"date_trunc('hour', {ACTED_AT})"
    alike = ", ".join(["ds", "rule", _user(roles), hour, identifier(roles.item)])
    showing = f"row_number() over (partition by {alike} order by {ACTED_AT}, line_number)"
    request = f"{_user(roles)} || '/' || cast({hour} as varchar)\n|| '/' || cast({showing} as varchar)"
    columns = [
        f"{_ROW_ID} as impression_id",
        f"{identifier(roles.request) if roles.request else request} as request_id",
        f"{_user(roles)} as user_id", f"{identifier(roles.item)} as item_id",
        f"cast({place or 1} as integer) as position", "'logged' as policy", f"{probability} as propensity",
        f"{click} as click", f"{ACTED_AT} as shown_at", *_named_items(roles), "ds", "rule",
        _row(events.name),
    ]  # fmt: skip
    ephemeral, source = "{{ config(materialized='ephemeral') }}", "{{ ref('stg_shown') }}"
    impressions = [
        "impression_id", "request_id", "user_id", "item_id", "position", "policy", "propensity", "shown_at",
        "shown_at as known_at", "ds", "rule",
    ]  # fmt: skip
    clicks = [
        "impression_id as interaction_id", "user_id", "item_id", "'click' as kind", "1.0e0 as value",
        "shown_at as occurred_at", "shown_at as known_at", "ds", "rule",
    ]  # fmt: skip
    return {
        "stg_shown": _select(columns, "ruled", f"{_CONFIG}\n\n{_ruled(events, roles, rules)}"),
        "stg_impressions": _select(impressions, source, ephemeral),
        "stg_interactions": _select(clicks, source, ephemeral).rstrip("\n") + "\nwhere click = 1\n",
    }


def _select(columns: list[str], source: str, before: str) -> str:
    listed = ",\n".join(indent(column, "    ") for column in columns)
    return f"{before}\n\nselect\n{listed}\nfrom {source}\n"
