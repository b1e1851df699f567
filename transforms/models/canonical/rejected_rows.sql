{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

with refused as (

    select
        table_name,
        rule,
        "row",
        ds
    from {{ ref('stg_rejected_rows') }}

),

unparseable as (

    select
        table_name,
        'unparseable' as rule,
        {{ row_as_json(['line', 'column_name', 'error', 'raw']) }} as "row",
        ds
    from {{ landing('_rejects') }} as rejects

)

select * from refused
union all
select * from unparseable
