{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'as_of'}) }}

with windowed as (

    {{ trailing(ref('int_user_item_daily'), ['user_id', 'item_id'], {
        'actions': [7, 28, 90, 365],
        'quantity': [365],
        'saves': [28],
        'undos': [365],
        'impressions': [7, 28],
        'unclicked': [28],
    }) }}

)

select
    user_id,
    item_id,
    as_of,
    cast(actions_7d as float) as user_item_actions_7d,
    cast(actions_28d as float) as user_item_actions_28d,
    cast(actions_90d as float) as user_item_actions_90d,
    cast(actions_365d as float) as user_item_actions_365d,
    cast(active_days_365d as float) as user_item_active_days_365d,
    cast(quantity_365d as float) as user_item_quantity_365d,
    cast(saves_28d as float) as user_item_saves_28d,
    cast(undos_365d as float) as user_item_undos_365d,
    cast(impressions_7d as float) as user_item_impressions_7d,
    cast(impressions_28d as float) as user_item_impressions_28d,
    cast(unclicked_28d as float) as user_item_unclicked_28d,
    cast({{ days_since('last_action_day') }} as float) as user_item_days_since_action,
    cast({{ days_since('first_action_day') }} as float) as user_item_days_since_first_action,
    cast(
        case
            when active_days_365d > 1
                then {{ days_between('first_action_day', 'last_action_day') }} / (active_days_365d - 1)
            else 366
        end as float
    ) as user_item_mean_gap,
    cast(
        case
            when actions_365d > 0
                then actions_365d / sum(actions_365d) over of_user
            else 0
        end as float
    ) as user_item_action_share_365d,
    cast(
        coalesce({{ days_between('last_action_day', 'max(last_action_day) over of_user') }}, 366) as float
    ) as user_item_days_before_last,
    cast(
        case
            when active_days_365d > 1
                then {{ days_between('last_action_day', 'as_of') }} * (active_days_365d - 1)
                    / greatest({{ days_between('first_action_day', 'last_action_day') }}, 1)
            else 0
        end as float
    ) as user_item_due
from windowed
window of_user as (partition by user_id, as_of)
