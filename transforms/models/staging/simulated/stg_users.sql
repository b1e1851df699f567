{{ config(materialized='table') }}

{%- set columns = ['user_id', 'region', 'joined_at', 'plan', 'changed_at'] %}

with source as (

    select * from {{ landing('users') }} as users

),

compared as (

    select
        *,
        row_number() over (partition by ds, {{ columns | join(', ') }} order by user_id) as copy
    from source

),

ruled as (

    select
        *,
        case
            when user_id is null then 'missing_id'
            when joined_at is null or changed_at is null then 'missing_time'
            when cast(greatest(joined_at, changed_at) as date) > ds then 'occurred_after_known'
            when copy > 1 then 'exact_duplicate'
        end as rule
    from compared

),

renamed as (

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
        case when rule is not null then {{ row_as_json(columns) }} end as "row"
    from ruled

)

select * from renamed
