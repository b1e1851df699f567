{{ config(materialized='table') }}

{%- set columns = ['event_id', 'user_id', 'item_id', 'kind', 'value', 'request_id', 'occurred_at', 'known_at'] %}

with source as (

    select * from {{ landing('events') }} as events

),

judged as (

    select
        *,
        case
            when event_id is null or user_id is null or item_id is null then 'missing_id'
            when occurred_at is null or known_at is null then 'missing_time'
            when kind is null or kind not in {{ kinds() }} then 'unknown_kind'
            when value is null then 'impossible_value'
            when value not between 0 and 1000000000 then 'impossible_value'
            when kind = 'play' and value not between 0 and 1 then 'impossible_value'
            when kind = 'rating' and value not between 1 and 5 then 'impossible_value'
            when occurred_at > known_at then 'occurred_after_known'
            when cast(known_at as date) > ds then 'known_after_landed'
        end as fault
    from source

),

compared as (

    select
        *,
        row_number() over (partition by ds, {{ columns | join(', ') }} order by event_id) as copy,
        dense_rank() over (
            partition by ds, event_id, fault order by {{ columns | join(', ') }}
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
        event_id as interaction_id,
        user_id,
        item_id,

        ---------- what
        kind,
        value,

        ---------- when
        occurred_at,
        known_at,
        ds,

        ---------- verdict
        rule,
        case when rule is not null then {{ row_as_json(columns) }} end as "row"
    from ruled

)

select * from renamed
