{{ config(meta={'grain': 'as_of'}) }}

{{ trailing(ref('user_daily'), ['user_id'], {'impressions': [7, 28]}) }}
