{{ config(materialized='table', enabled=(declared_names('item') | length > 0)) }}

{{ declared_changes(ref('int_item_observations'), 'item_id', 'item') }}
