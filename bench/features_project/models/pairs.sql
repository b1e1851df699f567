{{ config(materialized='view', post_hook="{{ create_table_function('pairs_at', 'points', pair_counts('points')) }}") }}

select * from {{ ref('pair_daily') }}
