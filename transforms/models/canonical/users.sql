{{ config(materialized='table') }}

with observed as (

    select * from {{ ref('int_user_observations') }}

),

known as (

    select
        user_id,
        ds as valid_from,
        region,
        plan,
        min(joined_at) over (
            partition by user_id order by ds rows between unbounded preceding and current row
        ) as joined_at
    from observed

),

compared as (

    select
        *,
        lag(region || '/' || plan || '/' || cast(joined_at as varchar))
            over (partition by user_id order by valid_from) as before
    from known

)

select
    user_id,
    valid_from,
    region,
    plan,
    joined_at
from compared
where before is null or before <> region || '/' || plan || '/' || cast(joined_at as varchar)
