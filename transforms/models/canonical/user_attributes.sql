{{ config(materialized='table', enabled=(declared_names('user') | length > 0)) }}

{{ declared_changes(ref('int_user_observations'), 'user_id', 'user') }}
