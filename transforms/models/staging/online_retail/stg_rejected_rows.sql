{{ config(materialized='ephemeral') }}

select
    'lines' as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_lines') }}
where rule is not null
