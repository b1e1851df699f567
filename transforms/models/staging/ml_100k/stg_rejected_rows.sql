{{ config(materialized='ephemeral') }}

{{ rejected_rows({'ratings': 'stg_interactions', 'people': 'stg_users', 'films': 'stg_items'}) }}
