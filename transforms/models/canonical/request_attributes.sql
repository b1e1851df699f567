{{ config(materialized='incremental', incremental_strategy='append', meta={'grain': 'ds'}) }}

-- Built without any declared attribute, too, then without rows: the ledger expects every model of a grain.
select
    impression_id,
    {{ declared_columns('request') }}
    ds
from {{ ref('stg_impressions') }}
where rule is null and {{ 'true' if declared_names('request') else 'false' }}
