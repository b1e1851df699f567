{{ config(meta={'grain': 'ds'}) }}

{{ impressions_of('user_id') }}
