{{ config(materialized='ephemeral') }}

select
    ---------- ids
    line_id as interaction_id,
    user_id,
    item_id,

    ---------- what
    kind,
    value,

    ---------- when: the shop writes a line as it happens
    occurred_at,
    occurred_at as known_at,
    ds,

    ---------- verdict
    rule
from {{ ref('stg_lines') }}
