{{ config(
    materialized='view',
    enabled=(declared_names('user') | length > 0),
    post_hook="{{ create_table_function(
        'feat_user_attributes_at', 'points',
        declared_as_of(ref('user_attributes'), ref('feat_users'), 'user_id', 'user', 'points')
    ) }}"
) }}

{{ declared_as_of(ref('user_attributes'), ref('feat_users'), 'user_id', 'user') }}
