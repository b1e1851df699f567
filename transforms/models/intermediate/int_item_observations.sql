{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

with numbered as (

    select
        *,
        row_number() over (
            partition by item_id, ds order by observed_at desc, title desc, category desc, available_at desc
        ) as place
    from {{ ref('stg_items') }}
    where rule is null

),

earliest as (

    select
        *,
        min(available_at) over (partition by item_id, ds) as earliest_available_at
    from numbered

)

select
    item_id,
    title,
    category,
    earliest_available_at as available_at,
    ds
from earliest
where place = 1
