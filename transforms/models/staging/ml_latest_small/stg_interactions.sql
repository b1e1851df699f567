{{ config(materialized='table') }}

{%- set columns = ['userid', 'movieid', 'rating', '"timestamp"'] %}

with source as (

    select
        *,
        {{ from_epoch_seconds('"timestamp"') }} as rated_at
    from {{ landing('ratings') }} as ratings

),

compared as (

    select
        *,
        row_number() over (partition by ds, {{ columns | join(', ') }} order by userid) as copy
    from source

),

ruled as (

    select
        *,
        case
            when userid is null or movieid is null then 'missing_id'
            when rating is null or rating not between 0.5 and 5 then 'impossible_value'
            when rated_at is null then 'missing_time'
            when cast(rated_at as date) > ds then 'occurred_after_known'
            when copy > 1 then 'exact_duplicate'
        end as rule
    from compared

),

renamed as (

    select
        ---------- ids
        userid || '/' || movieid || '/' || cast("timestamp" as varchar) || '/' || cast(rating as varchar)
            as interaction_id,
        userid as user_id,
        movieid as item_id,

        ---------- what
        'rating' as kind,
        rating as value,

        ---------- when: a rating is known at once
        rated_at as occurred_at,
        rated_at as known_at,
        ds,

        ---------- verdict
        rule,
        case when rule is not null then {{ row_as_json(columns) }} end as "row"
    from ruled

)

select * from renamed
