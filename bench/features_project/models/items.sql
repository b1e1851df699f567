{{ config(meta={'grain': 'as_of'}) }}

{{ trailing(ref('item_daily'), ['item_id'], {'impressions': [7, 28]}) }}
