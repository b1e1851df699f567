{{ config(materialized='ephemeral') }}

-- Of a source that knows its users by what they did alone: each exists from the first interaction on.
select
    user_id,
    '*' as region,
    '*' as plan,
    occurred_at as joined_at,
    occurred_at as observed_at,
    ds,
    rule
from {{ ref('stg_interactions') }}
