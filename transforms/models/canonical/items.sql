{{ config(materialized='table') }}

{%- set available_from = 'cast(' ~ earliest_by_then('available_at', 'item_id') ~ ' as date)' %}

{{ changes(ref('int_item_observations'), 'item_id', ['title', 'category'], available_from, 'available_from') }}
