{{ config(materialized='table') }}

{%- set columns = ['event_id', 'user_id', 'item_id', 'kind', 'value', 'request_id', 'occurred_at', 'known_at'] %}

with {% call ruled('events', columns, id='event_id', ids=['user_id', 'item_id'], values=['value']) %}
    case
        when event_id is null or user_id is null or item_id is null then 'missing_id'
        when occurred_at is null or known_at is null then 'missing_time'
        when kind is null or kind not in {{ kinds() }} then 'unknown_kind'
        when value is null then 'impossible_value'
        when value not between 0 and 1000000000 then 'impossible_value'
        when kind = 'play' and value not between 0 and 1 then 'impossible_value'
        when kind = 'rating' and value not between 1 and 5 then 'impossible_value'
        when occurred_at > known_at then 'occurred_after_known'
        when cast(known_at as date) > ds then 'known_after_landed'
    end
{% endcall %}

select
    ---------- ids
    event_id as interaction_id,
    user_id,
    item_id,
    request_id,

    ---------- what
    kind,
    value,

    ---------- when
    occurred_at,
    known_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row(columns) }} as "row"
from ruled
