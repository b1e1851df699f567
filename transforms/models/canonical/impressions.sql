{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

{{ accepted(ref('stg_impressions'), [
    'impression_id', 'request_id', 'user_id', 'item_id', 'position', 'policy', 'propensity', 'shown_at', 'known_at', 'ds'
]) }}
