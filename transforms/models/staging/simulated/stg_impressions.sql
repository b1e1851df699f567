{{ config(materialized='table') }}

{%- set columns = [
    'impression_id', 'request_id', 'user_id', 'item_id', 'position', 'policy', 'propensity', 'shown_at', 'known_at'
] %}

with source as (

    select * from {{ landing('impressions') }} as impressions

),

judged as (

    select
        *,
        case
            when impression_id is null or request_id is null or user_id is null or item_id is null then 'missing_id'
            when shown_at is null or known_at is null then 'missing_time'
            when position is null or position < 1 then 'impossible_position'
            when propensity <= 0 or propensity > 1 then 'impossible_propensity'
            when shown_at > known_at then 'occurred_after_known'
            when cast(known_at as date) > ds then 'known_after_landed'
        end as fault
    from source

),

compared as (

    select
        *,
        row_number() over (partition by ds, {{ columns | join(', ') }} order by impression_id) as copy,
        dense_rank() over (
            partition by ds, impression_id, fault order by {{ columns | join(', ') }}
        ) as version
    from judged

),

ruled as (

    select
        *,
        case
            when fault is not null then fault
            when copy > 1 then 'exact_duplicate'
            when version > 1 then 'repeated_id'
        end as rule
    from compared

),

renamed as (

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

        ---------- when
        shown_at,
        known_at,
        ds,

        ---------- verdict
        rule,
        case when rule is not null then {{ row_as_json(columns) }} end as "row"
    from ruled

)

select * from renamed
