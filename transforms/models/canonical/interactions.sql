{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

select
    interaction_id,
    user_id,
    item_id,
    kind,
    value,
    occurred_at,
    known_at,
    ds
from {{ ref('stg_interactions') }}
where rule is null
