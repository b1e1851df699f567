{{ config(materialized='table') }}

select
    as_of as day,
    as_of
from {{ source('control', 'as_of_days') }}
