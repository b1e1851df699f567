{{ config(materialized='ephemeral') }}

{{ rejected_rows({
    'events': 'stg_interactions', 'impressions': 'stg_impressions', 'users': 'stg_users', 'items': 'stg_items'
}) }}
