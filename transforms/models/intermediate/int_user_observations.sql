{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

with numbered as (

    select
        *,
        row_number() over (
            partition by user_id, ds order by observed_at desc, region desc, plan desc, joined_at desc
        ) as place
    from {{ ref('stg_users') }}
    where rule is null

),

earliest as (

    select
        *,
        min(joined_at) over (partition by user_id, ds) as earliest_joined_at
    from numbered

)

select
    user_id,
    region,
    plan,
    earliest_joined_at as joined_at,
    ds
from earliest
where place = 1
