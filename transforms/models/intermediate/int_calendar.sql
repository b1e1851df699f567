{{ config(materialized='table') }}

with requested as (

    select as_of from {{ source('control', 'as_of_days') }}

),

spine as (

    {{ every_day('(select min(as_of) from requested)', '(select max(as_of) from requested)') }}

)

select
    spine.day,
    min(requested.as_of) as as_of
from spine
inner join requested on spine.day <= requested.as_of
group by spine.day
