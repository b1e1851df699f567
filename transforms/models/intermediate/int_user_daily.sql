{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

{{ daily_sums_of_pairs('user_id') }}
