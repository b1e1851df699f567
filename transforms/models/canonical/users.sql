{{ config(materialized='table') }}

{%- set joined_at = earliest_by_then('joined_at', 'user_id') %}

{{ changes(ref('int_user_observations'), 'user_id', ['region', 'plan'], joined_at, 'joined_at') }}
