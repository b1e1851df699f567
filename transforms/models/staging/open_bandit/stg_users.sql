{{ config(materialized='ephemeral') }}

select
    ---------- ids
    user_id,

    ---------- what
    '*' as region,
    '*' as plan,

    ---------- when: a user exists from the first impression on
    shown_at as joined_at,
    shown_at as observed_at,
    ds,

    ---------- verdict
    rule
from {{ ref('stg_shown') }}
