{{ config(materialized='ephemeral') }}

select
    'ratings' as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_interactions') }}
where rule is not null
union all
select
    'movies' as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_items') }}
where rule is not null
