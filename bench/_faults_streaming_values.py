"""Faults in the values that the simulated streaming service logs: what they are, and who they belong to."""

from __future__ import annotations

from bench._fault_kinds import landed
from bench._faults import Fault

NULL_30 = "select * replace (case when hash({key}) % 10 >= 3 then {column} end as {column}) from source"
WITHOUT_BRAZIL = """select * from source where user_id is null or user_id not in (select user_id from
    read_parquet('{landing}/users/*/*.parquet') where region = 'BR')"""
DUMP = """
    select {columns} from landed qualify row_number() over (partition by {key} order by changed_at desc) = 1
    order by {key}
"""


def nulls(column: str, key: str = "event_id") -> str:
    """Lose 30 % of a column's values."""
    return NULL_30.replace("{key}", key).replace("{column}", column)


def users(**columns: str) -> str:
    """Deliver all members again today, with other attributes."""
    return _dump(("user_id", "region", "joined_at", "plan"), columns)


def items(**columns: str) -> str:
    """Deliver all titles again today, with other attributes."""
    return _dump(("item_id", "title", "category", "released_at"), columns)


def _dump(names: tuple[str, ...], columns: dict[str, str]) -> str:
    wanted = [f"{columns.get(name, name)} as {name}" for name in names]
    wanted.append("timestamp '{day} 04:00:00' as changed_at")
    return DUMP.replace("{columns}", ", ".join(wanted)).replace("{key}", names[0])


def shifted(by: str, *columns: str) -> str:
    """Move times."""
    moved = ", ".join(f"{column} + interval '{by}' as {column}" for column in columns)
    return f"select * replace ({moved}) from source"


VALUES = [
    Fault(
        "unit × 100",
        "watched fractions in percent",
        ("landed events impossible_fraction__rate", "landed events *value__*"),
        True,
        landed(events="select * replace (case kind when 'play' then value * 100 else value end as value) from source"),
    ),
    Fault(
        "another scale",
        "ratings of 1 to 10 stars",
        ("landed events impossible_rating__rate", "landed events *value__*", "landed events *rating*"),
        True,
        landed(events="select * replace (case kind when 'rating' then value * 2 else value end as value) from source"),
    ),
    Fault(
        "30 % nulls: member",
        "impressions lose `user_id`",
        ("landed impressions user_id__null_rate",),
        True,
        landed(impressions=nulls("user_id", "impression_id")),
    ),
    Fault(
        "30 % nulls: title",
        "events lose `item_id`",
        ("landed events item_id__null_rate",),
        True,
        landed(events=nulls("item_id")),
    ),
    Fault(
        "30 % nulls: value",
        "events lose `value`",
        ("landed events impossible_fraction__rate", "landed events *value__*"),
        True,
        landed(events=nulls("value")),
    ),
    Fault(
        "30 % nulls: time",
        "events lose `occurred_at`",
        ("landed events occurred_at__null_rate",),
        True,
        landed(events=nulls("occurred_at")),
    ),
    Fault(
        "30 % nulls: propensity",
        "impressions lose `propensity`",
        ("landed impressions propensity__null_rate",),
        False,
        landed(impressions=nulls("propensity", "impression_id")),
    ),
    Fault(
        "unknown kinds",
        "two in five plays are called `stream`",
        ("landed events unknown_kind__rate", "landed events *kind*"),
        True,
        landed(
            events="""select * replace (case when kind = 'play' and hash(event_id) % 5 < 2 then 'stream' else kind end
                as kind) from source"""
        ),
    ),
    Fault(
        "label flipped",
        "a watched fraction f arrives as 1 - f: what was left, not what was watched",
        ("landed events *value__*", "landed events *play*", "landed events *finished*"),
        True,
        landed(events="select * replace (case kind when 'play' then 1 - value else value end as value) from source"),
    ),
    Fault(
        "constant value",
        "every play has been watched to the end: value = 1",
        ("landed events *value__*", "landed events *finished*", "landed events *play*"),
        True,
        landed(events="select * replace (case kind when 'play' then 1.0 else value end as value) from source"),
    ),
    Fault(
        "swapped columns",
        "`user_id` and `item_id` of events are swapped",
        ("landed events *user_id*", "landed events *item_id*", "features active_users *"),
        True,
        landed(events="select * replace (item_id as user_id, user_id as item_id) from source"),
    ),
    Fault(
        "encoding rubbish",
        "kinds and titles of the events pass through a wrong encoding: `plÃ¤y`",
        ("landed events unknown_kind__rate", "landed events *kind*", "landed events *__unreadable_rate"),
        True,
        landed(events="select * replace (replace(kind, 'a', 'Ã¤') as kind) from source"),
    ),
    Fault(
        "propensity out of range",
        "propensities in percent",
        ("landed impressions bad_propensity__rate", "landed impressions propensity__*"),
        True,
        landed(impressions="select * replace (propensity * 10000 as propensity) from source"),
    ),
    Fault(
        "constant propensity",
        "every impression has the propensity 0.05",
        ("landed impressions propensity__*",),
        False,
        landed(impressions="select * replace (0.05::double as propensity) from source"),
    ),
    Fault(
        "positions from 0",
        "positions count from 0",
        ("landed impressions position__min",),
        True,
        landed(impressions="select * replace ((position - 1)::integer as position) from source"),
    ),
    Fault(
        "constant position",
        "every impression is at position 1",
        ("landed impressions position__*",),
        True,
        landed(impressions="select * replace (1::integer as position) from source"),
    ),
    Fault(
        "repeated request ids",
        "a counter overflows: all requests of the day share ten ids",
        ("landed impressions *request*", "landed impressions *position*"),
        True,
        landed(
            impressions="select * replace ('r' || (hash(request_id) % 10)::varchar as request_id) from source",
        ),
    ),
]

WHO = [
    Fault(
        "bot",
        "one member plays 100,000 times",
        ("landed events user_id__top_share", "landed events rows", "landed events rows_vs_*"),
        True,
        landed(
            events="""select * from source union all select 'e' || n, 'u000001', 'i' || lpad((1 + n % 400)::varchar,
                6, '0'), 'play', 0.95, null, timestamp '{day} 03:00:00' + to_seconds(n % 60000),
                timestamp '{day} 03:00:02' + to_seconds(n % 60000) from range(100000) numbers(n)"""
        ),
    ),
    Fault(
        "test traffic of one title",
        "half of the events are on one title",
        ("landed events item_id__top_share", "landed events item_id__mix_*"),
        True,
        landed(
            events="""select * replace (case when hash(event_id) % 2 = 0 then 'i000007' else item_id end as item_id)
                from source"""
        ),
    ),
    Fault(
        "one region missing",
        "nothing of Brazil's members arrives: no impressions, no events",
        (
            "features active_users *",
            "landed * rows",
            "landed * rows_vs_*",
        ),
        False,
        landed(
            events=WITHOUT_BRAZIL,
            impressions=WITHOUT_BRAZIL,
        ),
    ),
    Fault(
        "clicks of one region missing",
        "no events of Brazil's members, but their impressions",
        (
            "features active_users *",
            "landed * rows",
            "landed * rows_vs_*",
        ),
        False,
        landed(events=WITHOUT_BRAZIL),
    ),
    Fault(
        "all members are new",
        "the id scheme changed: m-1 instead of u000001, in both logs",
        ("landed * *user_id*", "features active_users *"),
        True,
        landed(
            events="select * replace ('m-' || ltrim(user_id, 'u0') as user_id) from source",
            impressions="select * replace ('m-' || ltrim(user_id, 'u0') as user_id) from source",
        ),
    ),
    Fault(
        "exploded cardinality",
        "the titles' ids of impressions have a suffix of their own",
        ("landed impressions *item_id*", "features active_items *"),
        True,
        landed(impressions="select * replace (item_id || '-' || left(md5(impression_id), 6) as item_id) from source"),
    ),
    Fault(
        "popularity inverted",
        "the most played title's id stands for the least played one, and so on, in both logs",
        ("features active_items *", "features feat_items *", "landed * item_id__*", "predictions * champion_*"),
        False,
        landed(
            events="select * replace ('i' || lpad((501 - substr(item_id, 2)::integer)::varchar, 6, '0') as item_id)"
            " from source",
            impressions="select * replace ('i' || lpad((501 - substr(item_id, 2)::integer)::varchar, 6, '0') as"
            " item_id) from source",
        ),
    ),
    Fault(
        "attributes of titles lost",
        "all titles arrive again, without a category",
        ("landed items category__null_rate", "landed items category__*"),
        True,
        landed(items=items(category="null::varchar")),
    ),
    Fault(
        "titles in a wrong encoding",
        "all titles arrive again, their names as mojibake",
        ("landed items title__unreadable_rate", "landed items title__mix_*"),
        False,
        landed(items=items(title="replace(replace(title, 'e', 'Ã©'), 'a', 'Ã¤')")),
    ),
    Fault(
        "regions scrambled",
        "all members arrive again, each with the next member's region",
        ("landed users *", "features active_users *"),
        True,
        landed(users=users(region="lead(region, 1, 'US') over (order by user_id)")),
    ),
    Fault(
        "regions all alike",
        "all members arrive again from the region US",
        ("landed users *", "features active_users *"),
        True,
        landed(users=users(region="'US'")),
    ),
]
