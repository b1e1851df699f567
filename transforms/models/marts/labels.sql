{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'cut'}) }}

with cuts as (

    select cut from {{ source('control', 'cuts') }}

),

followed as (

    select
        interactions.*,
        cuts.cut
    from {{ ref('interactions') }} as interactions
    inner join cuts
        on cast(interactions.occurred_at as date) > cuts.cut
        and cast(interactions.occurred_at as date) <= {{ plus_days('cuts.cut', var('horizon_days')) }}
        and interactions.ds <= {{ plus_days('cuts.cut', var('horizon_days') + var('lateness_days')) }}

)

select
    user_id,
    item_id,
    cut,
    cast({{ grade() }} as integer) as grade
from followed
group by user_id, item_id, cut
