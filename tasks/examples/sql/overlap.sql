-- One row per point whose user has a past with the list's values: the share of them that the item has.
-- Whole numbers are summed and divided once, in double, as the engine does it: both give the same bits.
with wanted as (
    select distinct
        user_id,
        item_id,
        as_of
    from points
),

counted as (
    select
        user_id,
        as_of,
        value,
        actions
    from {{ users }} as all_values
    where attribute = {{ literal(attribute) }}
),

totals as (
    select
        user_id,
        as_of,
        sum(actions) as actions
    from counted
    group by user_id, as_of
),

listed as (
    select distinct
        item_id,
        as_of,
        unnest({{ identifier(attribute) }}) as value
    from {{ items }} as lists
)

select
    wanted.user_id,
    wanted.item_id,
    wanted.as_of,
    cast(coalesce(sum(counted.actions), 0) as double) / cast(min(totals.actions) as double) as share
from wanted
inner join totals
    on wanted.user_id = totals.user_id and wanted.as_of = totals.as_of
left join listed
    on wanted.item_id = listed.item_id and wanted.as_of = listed.as_of
left join counted
    on wanted.user_id = counted.user_id and wanted.as_of = counted.as_of and listed.value = counted.value
group by wanted.user_id, wanted.item_id, wanted.as_of
