{{ config(materialized='ephemeral') }}

select
    policy as table_name,
    rule,
    "row",
    ds
from {{ ref('stg_shown') }}
where rule is not null

union all

{{ rejected_rows({'items': 'stg_items'}) }}
