{{ config(meta={'grain': 'ds'}) }}

{{ impressions_of('item_id') }}
