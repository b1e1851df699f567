{#- Texts of a file as values of their declared types. A pattern decides what a value is before DuckDB casts it: its
    own cast rounds 1.5 to 2 and takes 1_000 and 0x1F for whole numbers. Where a text is no value, the typed one is
    null and `problem` has the column's place. -#}
{%- macro plain(text) -%}
replace(
    {% if thousands %}replace(trim({{ text }}), {{ literal(thousands) }}, ''){% else %}trim({{ text }}){% endif %},
    {{ literal(decimal) }}, '.'
)
{%- endmacro -%}
{%- macro iso(text, pattern, type) -%}
case when regexp_full_match(trim({{ text }}), {{ literal(pattern) }}) then try_cast(trim({{ text }}) as {{ type }}) end
{%- endmacro -%}
{%- macro instant(text, form) -%}
{%- if form == 'iso' -%}
{{ iso(text, patterns.instant, 'timestamptz') }} at time zone 'UTC'
{%- elif '%z' in form or '%Z' in form -%}
try_strptime(trim({{ text }}), {{ literal(form) }}) at time zone 'UTC'
{%- else -%}
try_strptime(trim({{ text }}), {{ literal(form) }})
{%- endif -%}
{%- endmacro -%}
{%- macro day(text, form) -%}
{%- if form == 'iso' -%}
{{ iso(text, patterns.day, 'date') }}
{%- else -%}
try_cast(try_strptime(trim({{ text }}), {{ literal(form) }}) as date)
{%- endif -%}
{%- endmacro -%}
{%- macro first(macro, text, forms) -%}
coalesce({% for form in forms %}{{ macro(text, form) }}{{ ', ' if not loop.last }}{% endfor %})
{%- endmacro -%}
{%- macro typed(text, type) -%}
{%- if type == 'VARCHAR' -%}
{{ text }}
{%- elif type in ('INTEGER', 'BIGINT') -%}
case when regexp_full_match({{ text }}, {{ literal(patterns.whole) }}) then try_cast({{ plain(text) }} as {{ type }}) end
{%- elif type == 'DOUBLE' -%}
case when regexp_full_match({{ text }}, {{ literal(patterns.number) }}) then try_cast({{ plain(text) }} as double) end
{%- elif type == 'BOOLEAN' -%}
case
    when regexp_full_match(trim(lower({{ text }})), 'true|t|yes|y|1') then true
    when regexp_full_match(trim(lower({{ text }})), 'false|f|no|n|0') then false
end
{%- elif type == 'TIMESTAMP' -%}
{{ first(instant, text, timestamps) }}
{%- else -%}
{{ first(day, text, dates) }}
{%- endif -%}
{%- endmacro -%}
with typed as (
    select
        _row{% for name, type in fields %},
        {{ identifier(name) }},
        {{ typed(identifier(name), type) }} as _value_{{ loop.index0 }}{% endfor %}
    from texts
),

judged as (
    select
        *,
        coalesce(
            {%- for name, type in fields %}
            case
                when
                    {{ identifier(name) }} is not null
                    and (
                        _value_{{ loop.index0 }} is null
                        {%- if type in ('DOUBLE', 'DATE', 'TIMESTAMP') %}
                        or not isfinite(_value_{{ loop.index0 }})
                        {%- endif %}
                        {%- if type in ('DATE', 'TIMESTAMP') %}
                        or year(_value_{{ loop.index0 }}) not between {{ years[0] }} and {{ years[1] }}
                        {%- endif %}
                    )
                    then {{ loop.index0 }}
            end,
            {%- endfor %}
            null
        ) as problem
    from typed
)

select
    problem{% for name, _ in fields %},
    _value_{{ loop.index0 }} as {{ identifier(name) }}{% endfor %}
from judged
order by _row
