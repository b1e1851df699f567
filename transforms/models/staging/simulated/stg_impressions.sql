{{ config(materialized='table') }}

{%- set columns = [
    'impression_id', 'request_id', 'user_id', 'item_id', 'position', 'policy', 'propensity', 'shown_at', 'known_at'
] %}

with {% call ruled('impressions', columns, id='impression_id', ids=['user_id', 'item_id', 'request_id']) %}
    case
        when impression_id is null or request_id is null or user_id is null or item_id is null then 'missing_id'
        when shown_at is null or known_at is null then 'missing_time'
        when position is null or position < 1 then 'impossible_position'
        when propensity <= 0 or propensity > 1 then 'impossible_propensity'
        when shown_at > known_at then 'occurred_after_known'
        when cast(known_at as date) > ds then 'known_after_landed'
    end
{% endcall %}

select
    ---------- ids
    impression_id,
    request_id,
    user_id,
    item_id,

    ---------- what
    position,
    policy,
    propensity,

    ---------- about the request
    cast(extract(hour from shown_at) as integer) as hour,
    case
        when extract(hour from shown_at) < 6 then 'night'
        when extract(hour from shown_at) < 12 then 'morning'
        when extract(hour from shown_at) < 18 then 'afternoon'
        when extract(hour from shown_at) < 24 then 'evening'
    end as daypart,

    ---------- when
    shown_at,
    known_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row(columns) }} as "row"
from ruled
