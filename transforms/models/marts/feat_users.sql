{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'as_of'}) }}

with windowed as (

    {{ trailing(ref('int_user_daily'), ['user_id'], {
        'actions': [7, 28, 90, 365],
        'active_days': [28, 365],
        'quantity': [28, 365],
        'saves': [28],
        'undos': [365],
        'impressions': [28],
        'unclicked': [28],
    }) }}

),

attributes as (

    {{ attributes_as_of(ref('users'), 'user_id', ['region', 'plan', 'joined_at']) }}

),

items as (

    {{ trailing_others(ref('int_user_item_daily'), 'user_id', 'item_id', [365]) }}

),

known as (

    select
        user_id,
        as_of
    from attributes
    union distinct
    select
        user_id,
        as_of
    from windowed

),

joined as (

    select
        known.user_id,
        known.as_of,
        coalesce(attributes.region, '*') as region,
        coalesce(attributes.plan, '*') as plan,
        greatest(
            coalesce({{ days_between('cast(attributes.joined_at as date)', 'known.as_of') }}, 0), 0
        ) as tenure_days,
        windowed.last_action_day,
        windowed.first_action_day,
        {{ totals('windowed', [
            'actions_7d', 'actions_28d', 'actions_90d', 'actions_365d', 'active_days_28d',
            'active_days_365d', 'quantity_28d', 'quantity_365d', 'saves_28d', 'undos_365d',
            'impressions_28d', 'unclicked_28d'
        ]) }},
        {{ totals('items', ['others_365d', 'repeated_365d']) }}
    from known
    {{ left_joined(['attributes', 'windowed', 'items'], 'known', 'user_id') }}

)

select
    user_id,
    as_of,
    region,
    plan,
    case when tenure_days < 30 then 'new' when tenure_days < 365 then 'settled' else 'old' end as tenure_band,
    {{ as_features('user', [
        'tenure_days', 'actions_7d', 'actions_28d', 'actions_90d', 'actions_365d',
        'active_days_28d', 'active_days_365d', 'quantity_28d', 'quantity_365d', 'saves_28d',
        'undos_365d', 'impressions_28d'
    ]) }},
    cast({{ click_rate('impressions_28d', 'unclicked_28d') }} as float) as user_ctr_28d,
    cast(others_365d as float) as user_items_365d,
    cast(repeated_365d / greatest(others_365d, 1) as float) as user_repeat_share_365d,
    cast({{ trend('actions_7d', 'actions_28d') }} as float) as user_trend,
    cast({{ days_since('last_action_day') }} as float) as user_days_since_action,
    cast({{ days_since('first_action_day') }} as float) as user_days_since_first_action
from joined
