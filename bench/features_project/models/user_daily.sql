{{ config(meta={'grain': 'ds'}) }}

select
    user_id,
    day,
    ds,
    cast(sum(impressions) as integer) as impressions
from {{ ref('pair_daily') }}
where ds in {{ changed_days() }}
group by user_id, day, ds
