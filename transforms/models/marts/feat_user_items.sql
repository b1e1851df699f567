{{ config(
    materialized='view',
    post_hook="{{ create_table_function('feat_user_items_at', 'points', user_item_features('points')) }}"
) }}

{{ user_item_features() }}
