{{ config(materialized='ephemeral') }}

-- Of a source that knows its items by what was done to them alone: each is on offer from the first interaction on.
select
    item_id,
    item_id as title,
    '*' as category,
    occurred_at as available_at,
    occurred_at as observed_at,
    ds,
    rule
from {{ ref('stg_interactions') }}
