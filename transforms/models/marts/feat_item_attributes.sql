{{ config(
    materialized='view',
    enabled=(declared_names('item') | length > 0),
    post_hook="{{ create_table_function(
        'feat_item_attributes_at', 'points',
        declared_as_of(ref('item_attributes'), ref('feat_items'), 'item_id', 'item', 'points')
    ) }}"
) }}

{{ declared_as_of(ref('item_attributes'), ref('feat_items'), 'item_id', 'item') }}
