-- One row per point whose user has a past with the attribute's values: the share of them that the item has.
-- Whole numbers are summed and divided once, in double, as the engine does it: both give the same bits.
select
    wanted.user_id,
    wanted.item_id,
    wanted.as_of,
    cast(coalesce(sum(own.actions), 0) as double) / cast(min(past.actions) as double) as share
from (select distinct user_id, item_id, as_of from points) as wanted
inner join (
    select
        user_id,
        as_of,
        sum(actions) as actions
    from {{ users }} as all_values
    where attribute = {{ literal(attribute) }}
    group by user_id, as_of
) as past
    on wanted.user_id = past.user_id and wanted.as_of = past.as_of
left join (
    select distinct
        item_id,
        as_of,
        unnest({{ identifier(attribute) }}) as value
    from {{ items }} as lists
) as listed
    on wanted.item_id = listed.item_id and wanted.as_of = listed.as_of
left join {{ users }} as own
    on
        wanted.user_id = own.user_id and wanted.as_of = own.as_of
        and own.attribute = {{ literal(attribute) }} and listed.value = own.value
group by wanted.user_id, wanted.item_id, wanted.as_of
