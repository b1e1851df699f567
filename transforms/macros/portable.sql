{#- Everything that SQL engines spell differently. Another engine = more `<adapter>__…` macros here. -#}

{% macro row_as_json(columns) -%}
    {{ return(adapter.dispatch('row_as_json')(columns)) }}
{%- endmacro %}

{% macro default__row_as_json(columns) -%}
    to_json(struct({{ columns | join(', ') }}))
{%- endmacro %}

{% macro duckdb__row_as_json(columns) -%}
    cast(to_json(struct_pack(
        {%- for column in columns %}{{ column }} := {{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    )) as varchar)
{%- endmacro %}

{% macro matches(expression, pattern) -%}
    {{ return(adapter.dispatch('matches')(expression, pattern)) }}
{%- endmacro %}

{% macro default__matches(expression, pattern) -%}
    regexp_like({{ expression }}, '{{ pattern }}')
{%- endmacro %}

{% macro duckdb__matches(expression, pattern) -%}
    regexp_matches({{ expression }}, '{{ pattern }}')
{%- endmacro %}

{% macro from_epoch_seconds(expression) -%}
    {{ return(adapter.dispatch('from_epoch_seconds')(expression)) }}
{%- endmacro %}

{% macro default__from_epoch_seconds(expression) -%}
    timestamp '1970-01-01 00:00:00' + {{ expression }} * interval '1' second
{%- endmacro %}

{% macro duckdb__from_epoch_seconds(expression) -%}
    make_timestamp({{ expression }} * 1000000)
{%- endmacro %}

{#- Whether a floating point number is NaN: that of every comparison with it is up to the engine. -#}
{% macro is_nan(expression) -%}
    coalesce(isnan({{ expression }}), false)
{%- endmacro %}

{#- A text split into a list at each separator. -#}
{% macro split_texts(expression, separator) -%}
    {{ return(adapter.dispatch('split_texts')(expression, separator)) }}
{%- endmacro %}

{% macro default__split_texts(expression, separator) -%}
    split({{ expression }}, '[{{ separator }}]')
{%- endmacro %}

{% macro duckdb__split_texts(expression, separator) -%}
    string_split({{ expression }}, '{{ separator }}')
{%- endmacro %}

{#- In a select list: a row for each value of a list, each value once. -#}
{% macro each_once(list) -%}
    {{ return(adapter.dispatch('each_once')(list)) }}
{%- endmacro %}

{% macro default__each_once(list) -%}
    explode(array_distinct({{ list }}))
{%- endmacro %}

{% macro duckdb__each_once(list) -%}
    unnest(list_distinct({{ list }}))
{%- endmacro %}

{#- Whole days from one DATE to another. -#}
{% macro days_between(from_day, to_day) -%}
    {{ return(adapter.dispatch('days_between')(from_day, to_day)) }}
{%- endmacro %}

{% macro default__days_between(from_day, to_day) -%}
    {{ datediff(from_day, to_day, 'day') }}
{%- endmacro %}

{% macro duckdb__days_between(from_day, to_day) -%}
    ({{ to_day }} - {{ from_day }})
{%- endmacro %}

{% macro plus_days(day, number) -%}
    {{ return(adapter.dispatch('plus_days')(day, number)) }}
{%- endmacro %}

{% macro default__plus_days(day, number) -%}
    {{ dateadd('day', number, day) }}
{%- endmacro %}

{% macro duckdb__plus_days(day, number) -%}
    ({{ day }} + {{ number }})
{%- endmacro %}

{#- A table of one column `day`: every day from the first to the last, both given as scalar expressions. -#}
{% macro every_day(first_day, last_day) -%}
    {{ return(adapter.dispatch('every_day')(first_day, last_day)) }}
{%- endmacro %}

{% macro default__every_day(first_day, last_day) -%}
    select explode(sequence({{ first_day }}, {{ last_day }})) as day
{%- endmacro %}

{% macro duckdb__every_day(first_day, last_day) -%}
    select cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date) as day
{%- endmacro %}

{#- Keyword that keeps the optimiser from merging a CTE into the query, where the engine has one. -#}
{% macro materialized() -%}
    {{ return(adapter.dispatch('materialized')()) }}
{%- endmacro %}

{% macro default__materialized() -%}
{%- endmacro %}

{% macro duckdb__materialized() -%}
    materialized
{%- endmacro %}

{#- Aggregate: a value of the row that comes last by `order_columns`, of the rows for which the condition holds. -#}
{% macro last_of(value, order_columns, condition) -%}
    {{ return(adapter.dispatch('last_of')(value, order_columns, condition)) }}
{%- endmacro %}

{% macro default__last_of(value, order_columns, condition) -%}
    max_by({{ value }}, case when {{ condition }} then struct({{ order_columns | join(', ') }}) end)
{%- endmacro %}

{% macro duckdb__last_of(value, order_columns, condition) -%}
    arg_max({{ value }}, case when {{ condition }} then row({{ order_columns | join(', ') }}) end)
{%- endmacro %}
