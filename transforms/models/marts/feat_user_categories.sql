{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'as_of'}) }}

with pairs as (

    select *
    from {{ ref('feat_user_items') }}
    where user_item_actions_365d > 0
        and as_of in {{ requested_days() }}

),

items as (

    select
        item_id,
        as_of,
        category
    from {{ ref('feat_items') }}
    where as_of in {{ requested_days() }}

),

totals as (

    select
        pairs.user_id,
        items.category,
        pairs.as_of,
        sum(cast(pairs.user_item_actions_28d as double)) as actions_28d,
        sum(cast(pairs.user_item_actions_365d as double)) as actions_365d,
        min(pairs.user_item_days_since_action) as days_since_action
    from pairs
    left join items on pairs.item_id = items.item_id and pairs.as_of = items.as_of
    group by pairs.user_id, items.category, pairs.as_of

),

shared as (

    select
        *,
        sum(actions_28d) over (partition by user_id, as_of) as all_actions_28d,
        sum(actions_365d) over (partition by user_id, as_of) as all_actions_365d
    from totals

)

select
    user_id,
    category,
    as_of,
    cast(actions_28d as float) as user_category_actions_28d,
    cast(actions_365d as float) as user_category_actions_365d,
    cast(actions_28d / greatest(all_actions_28d, 1) as float) as user_category_share_28d,
    cast(actions_365d / all_actions_365d as float) as user_category_share_365d,
    days_since_action as user_category_days_since_action
from shared
