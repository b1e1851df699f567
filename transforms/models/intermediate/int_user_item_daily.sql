{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

with interactions as (

    select *
    from {{ ref('interactions') }}
    where ds in {{ changed_days() }}

),

impressions as (

    select *
    from {{ ref('impressions') }}
    where ds in {{ changed_days() }}

),

counted as (

    select
        user_id,
        item_id,
        cast(occurred_at as date) as day,
        ds,
        case when {{ is_a('actions') }} then 1 else 0 end as actions,
        case when {{ is_a('actions') }} then {{ exact('value') }} else 0 end as quantity,
        case when {{ is_a('saves') }} then 1 else 0 end as saves,
        case when {{ is_a('undos') }} then 1 else 0 end as undos,
        0 as impressions
    from interactions
    union all
    select
        user_id,
        item_id,
        cast(shown_at as date) as day,
        ds,
        0 as actions,
        0 as quantity,
        0 as saves,
        0 as undos,
        1 as impressions
    from impressions

)

select
    user_id,
    item_id,
    day,
    ds,
    {{ summed_measures() }},
    cast(case when sum(actions) = 0 then sum(impressions) else 0 end as integer) as unclicked
from counted
group by user_id, item_id, day, ds
