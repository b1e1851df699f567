{{ config(materialized='table') }}

{%- set derived = {'is_cancellation': "coalesce(invoice_no like 'C%', false)"} %}

{%- set ids = ['customer_id', 'stock_code'] %}

with {% call ruled('lines', order_by='line_number', derived=derived, ids=ids, values=['quantity']) %}
    case
        when invoice_no is null or line_number is null then 'missing_id'
        when customer_id is null then 'no_customer'
        when stock_code is null or not {{ matches('stock_code', '^[0-9]{5}') }} then 'not_a_product'
        when invoice_date is null then 'missing_time'
        when cast(invoice_date as date) > ds then 'occurred_after_known'
        when not is_cancellation and coalesce(quantity, 0) <= 0 then 'quantity_not_positive'
        when is_cancellation and coalesce(quantity, 0) >= 0 then 'quantity_not_negative'
        when not is_cancellation and coalesce(unit_price, 0) <= 0 then 'price_not_positive'
    end
{% endcall %}

select
    ---------- ids
    cast(ds as varchar) || '/' || invoice_no || '/' || cast(line_number as varchar) as line_id,
    case
        when customer_id like '%.0' then left(customer_id, length(customer_id) - 2)
        else customer_id
    end as user_id,
    stock_code as item_id,

    ---------- what
    case
        when is_cancellation then 'cancellation'
        -- most pipelines do not tell large orders apart: the kind is only for those that declare it
        when quantity >= 24 and 'bulk' in {{ kinds() }} then 'bulk'
        else 'purchase'
    end as kind,
    cast(abs(quantity) as double) as value,
    coalesce(nullif(trim(description), ''), stock_code) as title,
    coalesce(nullif({{ split_part('upper(trim(description))', "' '", -1) }}, ''), '*') as category,
    coalesce(country, '*') as region,

    ---------- when
    invoice_date as occurred_at,
    line_number,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row('lines', more=['line_number']) }} as "row"
from ruled
