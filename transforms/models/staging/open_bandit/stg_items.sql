{{ config(materialized='table') }}

{%- set columns = ['item_id', 'item_feature_0', 'item_feature_1', 'item_feature_2', 'item_feature_3'] %}

with {% call ruled('items', columns, id='item_id', ids=['item_id']) %}
    case
        when item_id is null then 'missing_id'
    end
{% endcall %}

select
    ---------- ids
    item_id,

    ---------- what
    'Article ' || item_id as title,
    coalesce(item_feature_1, '*') as category,
    item_feature_0 as feature_0,
    item_feature_2 as feature_2,
    item_feature_3 as feature_3,

    ---------- when: an article is on offer from the day its line landed
    cast(ds as timestamp) as available_at,
    cast(ds as timestamp) as observed_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row(columns) }} as "row"
from ruled
