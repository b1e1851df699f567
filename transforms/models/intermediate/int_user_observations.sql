{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

{{ last_observations(ref('stg_users'), 'user_id', ['region', 'plan'], 'joined_at', 'user') }}
