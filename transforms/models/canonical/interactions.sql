{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

{{ accepted(
    ref('stg_interactions'),
    ['interaction_id', 'user_id', 'item_id', 'kind', 'value', 'occurred_at', 'known_at', 'ds'],
    {'request_id': 'varchar'}
) }}
