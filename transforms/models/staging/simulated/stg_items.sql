{{ config(materialized='table') }}

{%- set columns = ['item_id', 'title', 'category', 'released_at', 'changed_at'] %}

with {% call ruled('items', columns, ids=['item_id']) %}
    case
        when item_id is null then 'missing_id'
        when released_at is null or changed_at is null then 'missing_time'
        when cast(changed_at as date) > ds then 'occurred_after_known'
    end
{% endcall %}

select
    ---------- ids
    item_id,

    ---------- what
    coalesce(title, item_id) as title,
    coalesce(category, '*') as category,

    ---------- when
    released_at as available_at,
    changed_at as observed_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row(columns) }} as "row"
from ruled
