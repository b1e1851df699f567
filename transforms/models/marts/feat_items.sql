{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'as_of'}) }}

with windowed as (

    {{ trailing(ref('int_item_daily'), ['item_id'], {
        'actions': [7, 28, 90, 365],
        'active_days': [365],
        'quantity': [365],
        'saves': [28],
        'undos': [365],
        'impressions': [7, 28],
        'unclicked': [7, 28],
    }) }}

),

attributes as (

    {{ attributes_as_of(ref('items'), 'item_id', ['title', 'category', 'available_from']) }}

),

users as (

    {{ trailing_others(ref('int_user_item_daily'), 'item_id', 'user_id', [7, 28, 90, 365]) }}

),

known as (

    select
        item_id,
        as_of
    from attributes
    union distinct
    select
        item_id,
        as_of
    from windowed

),

joined as (

    select
        known.item_id,
        known.as_of,
        coalesce(attributes.title, known.item_id) as title,
        coalesce(attributes.category, '*') as category,
        coalesce(attributes.available_from <= {{ plus_days('known.as_of', 1) }}, false) as available,
        greatest(coalesce({{ days_between('attributes.available_from', 'known.as_of') }}, 0), 0) as age_days,
        windowed.last_action_day,
        windowed.first_action_day,
        {{ totals('windowed', [
            'actions_7d', 'actions_28d', 'actions_90d', 'actions_365d', 'quantity_365d', 'saves_28d',
            'undos_365d', 'impressions_7d', 'impressions_28d', 'unclicked_7d', 'unclicked_28d'
        ]) }},
        {{ totals('users', [
            'others_7d', 'others_28d', 'others_90d', 'others_365d', 'repeated_365d'
        ]) }}
    from known
    {{ left_joined(['attributes', 'windowed', 'users'], 'known', 'item_id') }}

)

select
    item_id,
    as_of,
    title,
    category,
    available,
    {{ as_features('item', ['age_days', 'actions_7d', 'actions_28d', 'actions_90d', 'actions_365d']) }},
    cast(others_7d as float) as item_users_7d,
    cast(others_28d as float) as item_users_28d,
    cast(others_90d as float) as item_users_90d,
    cast(others_365d as float) as item_users_365d,
    cast(repeated_365d / greatest(others_365d, 1) as float) as item_repeat_share_365d,
    cast(quantity_365d / greatest(actions_365d, 1) as float) as item_quantity_per_action_365d,
    {{ as_features('item', ['saves_28d', 'undos_365d', 'impressions_7d', 'impressions_28d']) }},
    cast({{ click_rate('impressions_7d', 'unclicked_7d') }} as float) as item_ctr_7d,
    cast({{ click_rate('impressions_28d', 'unclicked_28d') }} as float) as item_ctr_28d,
    cast({{ trend('actions_7d', 'actions_28d') }} as float) as item_trend,
    cast((3 * others_28d + 1) / (others_90d + 1) as float) as item_users_trend_28d,
    cast((4 * others_90d + 1) / (others_365d + 1) as float) as item_users_trend_90d,
    cast({{ days_since('last_action_day') }} as float) as item_days_since_action,
    cast({{ days_since('first_action_day') }} as float) as item_days_since_first_action
from joined
