{{ config(materialized='ephemeral') }}

-- MovieLens does not publish what it showed.
{{ no_impressions() }}
