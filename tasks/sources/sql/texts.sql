{#- Values of a parquet file as text, so that one set of rules decides for all files; numbers as their shortest text
    that reads back equal. -#}
select
    {%- for kind, source, name in columns %}
    {% if kind == 'float' -%}
    cast(cast({{ identifier(source) }} as double) as varchar) as {{ identifier(name) }}
    {%- elif kind == 'zoned' -%}
    cast(cast({{ identifier(source) }} as timestamptz) at time zone 'UTC' as varchar) as {{ identifier(name) }}
    {%- elif kind == 'list' -%}
    cast(to_json({{ identifier(source) }}) as varchar) as {{ identifier(name) }}
    {%- else -%}
    cast({{ identifier(source) }} as varchar) as {{ identifier(name) }}
    {%- endif %}{{ ',' if not loop.last }}
    {%- endfor %}
from batch
