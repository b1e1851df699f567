{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'cut'}) }}

with cuts as (

    select cut from {{ source('control', 'cuts') }}

),

followed as (

    select
        interactions.*,
        cuts.cut,
        true as ahead
    from {{ ref('interactions') }} as interactions
    inner join cuts
        on cast(interactions.occurred_at as date) > cuts.cut
        and cast(interactions.occurred_at as date) <= {{ plus_days('cuts.cut', var('horizon_days')) }}
        and interactions.ds <= {{ plus_days('cuts.cut', var('horizon_days') + var('lateness_days')) }}

),

attributed as (

    {{ attributed('followed') }}

),

pairs as (

    select distinct
        user_id,
        item_id,
        cut,
        impression_id
    from attributed

),

before as (

    select
        interactions.*,
        pairs.cut,
        false as ahead,
        pairs.impression_id
    from {{ ref('interactions') }} as interactions
    inner join pairs
        on interactions.user_id = pairs.user_id
        and interactions.item_id = pairs.item_id
        and cast(interactions.occurred_at as date) > {{ plus_days('pairs.cut', -365) }}
        and cast(interactions.occurred_at as date) <= pairs.cut
        and interactions.ds <= pairs.cut
    where {{ looks_back() }}

),

seen as (

    select * from attributed
    union all
    select * from before

),

summed_up as (

    select
        user_id,
        item_id,
        cut,
        impression_id,
        {{ measured() }}
    from seen
    group by user_id, item_id, cut, impression_id

),

ruled as (

    select
        user_id,
        item_id,
        cut,
        impression_id,
        {{ rules_that_hold() }} as holds
    from summed_up

)

select
    user_id,
    item_id,
    cut,
    cast({{ grade_of("position('1' in holds)") }} as integer) as grade,
    cast(position('1' in holds) as integer) as rule,
    holds,
    impression_id
from ruled
