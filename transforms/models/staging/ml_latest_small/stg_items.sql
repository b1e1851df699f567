{{ config(materialized='table') }}

{%- set columns = ['movieid', 'title', 'genres'] %}

with source as (

    select * from {{ landing('movies') }} as movies

),

compared as (

    select
        *,
        row_number() over (partition by ds, {{ columns | join(', ') }} order by movieid) as copy
    from source

),

ruled as (

    select
        *,
        case
            when movieid is null then 'missing_id'
            when copy > 1 then 'exact_duplicate'
        end as rule
    from compared

),

renamed as (

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
        case when rule is not null then {{ row_as_json(columns) }} end as "row"
    from ruled

)

select * from renamed
