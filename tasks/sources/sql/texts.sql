{#- Values of a parquet file as text, so that one set of rules decides for all files; numbers as their shortest text
    that reads back equal. -#}
{%- macro text(kind, column) -%}
{%- if kind == 'float' -%}
cast(cast({{ column }} as double) as varchar)
{%- elif kind == 'zoned' -%}
cast(cast({{ column }} as timestamptz) at time zone 'UTC' as varchar)
{%- elif kind == 'list' -%}
cast(to_json({{ column }}) as varchar)
{%- else -%}
cast({{ column }} as varchar)
{%- endif -%}
{%- endmacro -%}
select
    true as is_row{% for kind, column, name in parts %},
    {{ text(kind, identifier(column)) }} as {{ identifier(name) }}{% endfor %}
from batch
