{{ config(materialized='ephemeral') }}

-- MovieLens does not publish what it showed.
select
    cast(null as varchar) as impression_id,
    cast(null as varchar) as request_id,
    cast(null as varchar) as user_id,
    cast(null as varchar) as item_id,
    cast(null as integer) as position,
    cast(null as varchar) as policy,
    cast(null as double) as propensity,
    cast(null as timestamp) as shown_at,
    cast(null as timestamp) as known_at,
    cast(null as date) as ds,
    cast(null as varchar) as rule
where false
