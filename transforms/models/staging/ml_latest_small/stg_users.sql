{{ config(materialized='ephemeral') }}

select
    ---------- ids
    user_id,

    ---------- what
    '*' as region,
    '*' as plan,

    ---------- when: a user exists from the first rating seen
    occurred_at as joined_at,
    occurred_at as observed_at,
    ds,

    ---------- verdict
    rule
from {{ ref('stg_interactions') }}
