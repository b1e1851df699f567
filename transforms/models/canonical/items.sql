{{ config(materialized='table') }}

with observed as (

    select * from {{ ref('int_item_observations') }}

),

known as (

    select
        item_id,
        ds as valid_from,
        title,
        category,
        cast(min(available_at) over (
            partition by item_id order by ds rows between unbounded preceding and current row
        ) as date) as available_from
    from observed

),

compared as (

    select
        *,
        lag(title || '/' || category || '/' || cast(available_from as varchar))
            over (partition by item_id order by valid_from) as before
    from known

)

select
    item_id,
    valid_from,
    title,
    category,
    available_from
from compared
where before is null or before <> title || '/' || category || '/' || cast(available_from as varchar)
