{{ config(meta={'grain': 'ds'}) }}

select
    user_id,
    item_id,
    day,
    ds,
    cast(count(*) as integer) as impressions
from {{ shown() }}
group by user_id, item_id, day, ds
