{{ config(
    materialized='view',
    post_hook="{{ create_table_function('feat_user_categories_at', 'points', user_category_features('points')) }}"
) }}

{{ user_category_features() }}
