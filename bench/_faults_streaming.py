"""Faults of the simulated streaming service: its logs and dumps of a day, its features, its models."""

from __future__ import annotations

from bench._fault_kinds import BROKEN_MODELS, damaged, in_examples, in_warehouse, landed
from bench._faults import Fault
from bench._faults_streaming_values import VALUES, WHO, shifted
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path

FLIPPED_BEFORE = """select * replace (case when kind = 'play' and date '{day}' < date '{last}' then 1 - value
    else value end as value) from source"""
PERSONAL = [name for name in load_spec(pipeline_path("streaming")).features if not name.startswith("item_")]


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
