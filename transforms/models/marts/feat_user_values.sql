{{ config(
    materialized='view',
    enabled=(declared_lists() | length > 0),
    post_hook="{{ create_table_function('feat_user_values_at', 'points', user_values('points')) }}"
) }}

{{ user_values() }}
