{{ config(materialized='ephemeral') }}

-- Of a source that does not know what it showed.
{{ no_impressions() }}
