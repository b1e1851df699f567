{{ config(materialized='table') }}

with {% call ruled('movies', ids=['movieid']) %}
    case
        when movieid is null then 'missing_id'
    end
{% endcall %}

select
    ---------- ids
    movieid as item_id,

    ---------- what
    coalesce(title, movieid) as title,
    coalesce(nullif({{ split_part('genres', "'|'", 1) }}, ''), '*') as category,

    ---------- when: a film is on offer from the day its line landed
    cast(ds as timestamp) as available_at,
    cast(ds as timestamp) as observed_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row('movies') }} as "row"
from ruled
