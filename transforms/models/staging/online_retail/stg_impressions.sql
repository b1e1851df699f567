{{ config(materialized='ephemeral') }}

-- The shop does not know what it showed.
{{ no_impressions() }}
