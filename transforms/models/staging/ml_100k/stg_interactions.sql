{{ config(materialized='table') }}

{%- set derived = {'rated_at': from_epoch_seconds('"timestamp"')} %}

with {% call ruled('ratings', derived=derived, ids=['user_id', 'item_id'], values=['rating']) %}
    case
        when user_id is null or item_id is null then 'missing_id'
        when rating is null or rating not between 1 and 5 then 'impossible_value'
        when rated_at is null then 'missing_time'
        when cast(rated_at as date) > ds then 'occurred_after_known'
    end
{% endcall %}

select
    ---------- ids
    user_id || '/' || item_id || '/' || cast("timestamp" as varchar) || '/' || cast(rating as varchar)
        as interaction_id,
    user_id,
    item_id,

    ---------- what
    'rating' as kind,
    rating as value,

    ---------- when: a rating is known at once
    rated_at as occurred_at,
    rated_at as known_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row('ratings') }} as "row"
from ruled
