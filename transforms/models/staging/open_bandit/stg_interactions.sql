{{ config(materialized='ephemeral') }}

select
    ---------- ids
    impression_id as interaction_id,
    user_id,
    item_id,

    ---------- what
    'click' as kind,
    1.0e0 as value,

    ---------- when: the log tells that an impression was clicked, but not when; so the click is attributed to the one
    -- impression of its user and item at this instant
    shown_at as occurred_at,
    shown_at as known_at,
    ds,

    ---------- verdict
    rule
from {{ ref('stg_shown') }}
where click = 1
