{{ config(materialized='table') }}

{%- set columns = ['user_id', 'region', 'joined_at', 'plan', 'changed_at'] %}

with {% call ruled('users', columns, ids=['user_id']) %}
    case
        when user_id is null then 'missing_id'
        when joined_at is null or changed_at is null then 'missing_time'
        when cast(greatest(joined_at, changed_at) as date) > ds then 'occurred_after_known'
    end
{% endcall %}

select
    ---------- ids
    user_id,

    ---------- what
    coalesce(region, '*') as region,
    coalesce(plan, '*') as plan,

    ---------- when
    joined_at,
    changed_at as observed_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row(columns) }} as "row"
from ruled
