{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

select
    item_id,
    day,
    ds,
    cast(sum(actions) as integer) as actions,
    sum(quantity) as quantity,
    cast(sum(saves) as integer) as saves,
    cast(sum(undos) as integer) as undos,
    cast(sum(impressions) as integer) as impressions,
    cast(sum(unclicked) as integer) as unclicked
from {{ ref('int_user_item_daily') }}
where ds in {{ changed_days() }}
group by item_id, day, ds
