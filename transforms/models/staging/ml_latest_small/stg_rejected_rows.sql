{{ config(materialized='ephemeral') }}

{{ rejected_rows({'ratings': 'stg_interactions', 'movies': 'stg_items'}) }}
