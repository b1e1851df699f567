{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

{{ last_observations(ref('stg_items'), 'item_id', ['title', 'category'], 'available_at', 'item') }}
