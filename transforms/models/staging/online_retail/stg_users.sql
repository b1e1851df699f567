{{ config(materialized='ephemeral') }}

select
    ---------- ids
    user_id,

    ---------- what
    region,
    '*' as plan,

    ---------- when: a customer exists from the first line seen
    occurred_at as joined_at,
    occurred_at as observed_at,
    ds,

    ---------- verdict
    rule
from {{ ref('stg_lines') }}
