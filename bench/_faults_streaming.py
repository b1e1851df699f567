"""Faults of the simulated streaming service: its logs and dumps of a day, its features, its models."""

from __future__ import annotations

from bench._fault_kinds import BROKEN_MODELS, damaged, in_examples, in_warehouse, landed
from bench._faults import Fault
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path

NULL_30 = "select * replace (case when hash({key}) % 10 >= 3 then {column} end as {column}) from source"
FLIPPED_BEFORE = """select * replace (case when kind = 'play' and date '{day}' < date '{last}' then 1 - value
    else value end as value) from source"""
PERSONAL = [name for name in load_spec(pipeline_path("streaming")).features if not name.startswith("item_")]
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


SCHEMA = [
    Fault(
        "dropped column",
        "events arrive without `value`",
        ("landed events missing_columns",),
        True,
        landed(events="select * exclude (value) from source"),
    ),
    Fault(
        "renamed column",
        "impressions call `propensity` `probability`",
        ("landed impressions missing_columns", "landed impressions unexpected_columns"),
        True,
        landed(impressions="select * rename (propensity as probability) from source"),
    ),
    Fault(
        "type change",
        "the values of events arrive as text",
        ("landed events mistyped_columns",),
        True,
        landed(events="select * replace (value::varchar as value) from source"),
    ),
    Fault(
        "extra column",
        "events have a new column `device`",
        ("landed events unexpected_columns",),
        False,
        landed(events="select *, 'tv' as device from source"),
    ),
    Fault(
        "damaged file",
        "one byte of the landed impressions flips on the disk",
        ("landed error *sha256*",),
        True,
        damaged("impressions"),
        after="land",
    ),
]

VOLUME = [
    Fault(
        "empty day",
        "no events at all",
        ("landed events rows",),
        True,
        landed(events="select * from source where false"),
    ),
    Fault(
        "impressions log empty",
        "clicks without impressions: no impressions at all",
        ("landed impressions rows",),
        True,
        landed(impressions="select * from source where false"),
    ),
    Fault(
        "half a file",
        "the first half of the impressions, in the order of their ids",
        ("landed impressions rows", "landed impressions rows_vs_*", "landed impressions user_id__approx_distinct"),
        True,
        landed(impressions="select * from source limit (select count(*) // 2 from source)"),
    ),
    Fault(
        "duplicated file",
        "every event twice",
        ("landed events key__duplicate_rate",),
        True,
        landed(events="select * from source union all select * from source"),
    ),
    Fault(
        "yesterday's file again",
        "the events of the day before, as they were",
        ("landed events arrived_another_day__rate", "landed events *__seen_before_rate"),
        True,
        landed(events="select * from yesterday"),
    ),
    Fault(
        "yesterday's rows under today's times",
        "the impressions of the day before with their ids, their times moved to today",
        ("landed impressions *__seen_before_rate",),
        True,
        landed(
            impressions="""select * replace (shown_at + interval 1 day as shown_at, known_at + interval 1 day as
                known_at) from yesterday"""
        ),
    ),
    Fault(
        "missing hours",
        "the day ends at noon: nothing that became known later arrives",
        ("landed * *_at__vanished", "landed * *__hours_to_end", "landed * rows", "landed * rows_vs_*"),
        True,
        landed(
            events="select * from source where known_at < timestamp '{day} 12:00:00'",
            impressions="select * from source where known_at < timestamp '{day} 12:00:00'",
        ),
    ),
    Fault(
        "a gap of three hours",
        "nothing of 16:00 to 19:00 arrives, in the middle of the peak",
        (
            "landed * *_at__vanished",
            "landed * *__hours_to_end",
        ),
        False,
        landed(
            events="select * from source where hour(known_at) not between 16 and 18",
            impressions="select * from source where hour(known_at) not between 16 and 18",
        ),
    ),
    Fault(
        "click log lost",
        "impressions without clicks: only plays by direct search arrive",
        ("landed events rows", "landed events rows_vs_*", "landed events request_id__null_rate"),
        True,
        landed(events="select * from source where request_id is null"),
    ),
    Fault(
        "rows sorted out",
        "only plays that were watched to the end, no others",
        (
            "landed events value__*",
            "landed events rows",
            "landed events rows_vs_*",
            "landed events *kind*",
            "landed events *play*",
        ),
        True,
        landed(events="select * from source where kind = 'play' and value >= 0.9"),
    ),
]

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

CLOCKS = [
    Fault(
        "clock shift of a day",
        "the times of events are a day ahead",
        ("landed events from_the_future__rate", "landed events arrived_another_day__rate"),
        True,
        landed(events=shifted("1 day", "occurred_at", "known_at")),
    ),
    Fault(
        "timestamps in local time",
        "all times are eight hours behind, as a server in California writes them",
        ("landed impressions arrived_another_day__rate", "landed events arrived_another_day__rate"),
        True,
        landed(
            events=shifted("-8 hour", "occurred_at", "known_at"),
            impressions=shifted("-8 hour", "shown_at", "known_at"),
        ),
    ),
    Fault(
        "clock shift of hours",
        "events happened three hours before they became known, all of them",
        (
            "landed events *_at__vanished",
            "landed events *__hours_to_end",
            "landed events late__rate",
            "landed events occurred_at*",
        ),
        False,
        landed(events=shifted("-3 hour", "occurred_at")),
    ),
    Fault(
        "late rows of a week",
        "three in five impressions were shown one to seven days ago",
        ("landed impressions late__rate",),
        False,
        landed(
            impressions="""select * replace (case when hash(request_id) % 5 < 3 then shown_at - to_days((1 +
                hash(request_id) % 7)::integer) else shown_at end as shown_at) from source"""
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
            events="""select * from source where user_id is null or user_id not in (select user_id from
                read_parquet('{landing}/users/*/*.parquet') where region = 'BR')""",
            impressions="""select * from source where user_id is null or user_id not in (select user_id from
                read_parquet('{landing}/users/*/*.parquet') where region = 'BR')""",
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
        landed(
            events="""select * from source where user_id is null or user_id not in (select user_id from
                read_parquet('{landing}/users/*/*.parquet') where region = 'BR')""",
        ),
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

LABELS = [
    Fault(
        "labels flipped for ten days",
        "ten days of watched fractions arrive as 1 - f, the as-of day's being right",
        ("features labels *",),
        True,
        landed(
            days=11,
            events=FLIPPED_BEFORE,
        ),
    ),
    Fault(
        "labels flipped by a correction",
        "the three days before the as-of day are landed again, their watched fractions as 1 - f",
        ("features labels *",),
        True,
        landed(
            days=4,
            events=FLIPPED_BEFORE,
        ),
    ),
    Fault(
        "labels lost by a correction",
        "the three days before the as-of day are landed again, without nine in ten plays",
        ("features labels *",),
        True,
        landed(
            days=4,
            events="""select * from source where date '{day}' = date '{last}' or kind <> 'play'
                or hash(event_id) % 10 = 0""",
        ),
    ),
]

FEATURES = [
    Fault(
        "constant feature",
        "SQL with a bug: `item_ctr_28d` is 0 for every title",
        ("features feat_items *constant*", "features feat_items item_ctr_28d__*"),
        True,
        in_warehouse("update feat_items set item_ctr_28d = 0 where as_of = date '{day}'"),
        after="build",
    ),
    Fault(
        "feature × 100",
        "SQL with a bug: a share is a percentage",
        ("features feat_items shares__max", "features feat_items item_ctr_28d__*"),
        True,
        in_warehouse("update feat_items set item_ctr_28d = 100 * item_ctr_28d where as_of = date '{day}'"),
        after="build",
    ),
    Fault(
        "not a number",
        "SQL with a bug: a division by zero in every third row of `user_actions_28d`",
        ("features feat_users features__not_finite_rate",),
        True,
        in_warehouse(
            "update feat_users set user_actions_28d = 'nan'::float where as_of = date '{day}' and hash(user_id) % 3 = 0"
        ),
        after="build",
    ),
    Fault(
        "features of a third of the titles missing",
        "a join loses every third title",
        ("features active_items with_features_share", "features feat_items rows*"),
        True,
        in_warehouse("delete from feat_items where as_of = date '{day}' and hash(item_id) % 3 = 0"),
        after="build",
    ),
    Fault(
        "features of one region missing",
        "a join loses the members of Germany",
        ("features active_users *", "features feat_users rows*"),
        True,
        in_warehouse(
            "delete from feat_users where as_of = date '{day}' and user_id in"
            " (select user_id from users where region = 'DE')"
        ),
        after="build",
    ),
    Fault(
        "a join multiplies",
        "every feature row of titles is there twice",
        ("features feat_items key__duplicate_rate",),
        True,
        in_warehouse("insert into feat_items select * from feat_items where as_of = date '{day}'"),
        after="build",
    ),
    Fault(
        "examples twice",
        "every example of the training window is there twice",
        ("features train key__duplicate_rate",),
        True,
        in_examples("select * from examples union all select * from examples order by group_id", "train"),
        after="sample",
    ),
    Fault(
        "labels of the future",
        "examples of the training window carry cuts that are not complete",
        ("features train not_complete_yet__rate",),
        True,
        in_examples("select * replace (cut + 30 as cut) from examples", "train"),
        after="sample",
    ),
]

MODELS = [
    *BROKEN_MODELS,
    Fault(
        "shuffled labels",
        "the models learn from grades that are drawn from a hat",
        ("predictions * champion_*", "predictions * refit_*", "gate model *beats*"),
        True,
        in_examples(
            "select * replace ((hash(example_id, 1) % 10 = 0)::tinyint as grade) from examples",
            "train",
            "validation",
            "refit",
        ),
        after="check_examples",
    ),
    Fault(
        "lists all alike",
        "the models know nothing of members: features of titles only",
        ("predictions * same_list_share", "predictions * catalog_coverage_share", "predictions * champion_*"),
        False,
        in_examples(
            f"select * replace ({', '.join(f'0::float as {name}' for name in PERSONAL)}) from examples",
            "train",
            "validation",
            "refit",
        ),
        after="check_examples",
    ),
]

FAULTS = [*SCHEMA, *VOLUME, *VALUES, *CLOCKS, *WHO, *LABELS, *FEATURES, *MODELS]
