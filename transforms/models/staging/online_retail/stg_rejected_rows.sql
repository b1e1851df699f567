{{ config(materialized='ephemeral') }}

{{ rejected_rows({'lines': 'stg_lines'}) }}
