{{ config(materialized='table') }}

{%- set columns = ['item_id', 'title', 'category', 'released_at', 'changed_at'] %}

with source as (

    select * from {{ landing('items') }} as items

),

compared as (

    select
        *,
        row_number() over (partition by ds, {{ columns | join(', ') }} order by item_id) as copy
    from source

),

ruled as (

    select
        *,
        case
            when item_id is null then 'missing_id'
            when released_at is null or changed_at is null then 'missing_time'
            when cast(changed_at as date) > ds then 'occurred_after_known'
            when copy > 1 then 'exact_duplicate'
        end as rule
    from compared

),

renamed as (

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
        case when rule is not null then {{ row_as_json(columns) }} end as "row"
    from ruled

)

select * from renamed
