{{ config(materialized='ephemeral') }}

select
    'events' as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_interactions') }}
where rule is not null
union all
select
    'impressions' as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_impressions') }}
where rule is not null
union all
select
    'users' as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_users') }}
where rule is not null
union all
select
    'items' as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_items') }}
where rule is not null
