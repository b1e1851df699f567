{{ config(materialized='ephemeral') }}

select
    ---------- ids
    item_id,

    ---------- what
    title,
    category,

    ---------- when: a product is on offer from the first line seen
    occurred_at as available_at,
    occurred_at as observed_at,
    ds,

    ---------- verdict
    rule
from {{ ref('stg_lines') }}
