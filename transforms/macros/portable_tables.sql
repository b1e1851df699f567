{#- More that SQL engines spell differently: functions over tables, and names of databases. -#}

{#- Create a function that takes the name of a table and returns the query's rows; in the query the table is
    `given_table(parameter)`. An engine without such functions does without: read the view of the same rows. -#}
{% macro create_table_function(name, parameter, query) -%}
    {{ return(adapter.dispatch('create_table_function')(name, parameter, query)) }}
{%- endmacro %}

{% macro default__create_table_function(name, parameter, query) -%}
{%- endmacro %}

{% macro duckdb__create_table_function(name, parameter, query) -%}
    create or replace macro {{ name }}({{ parameter }}) as table {{ query }}
{%- endmacro %}

{% macro given_table(parameter) -%}
    {{ return(adapter.dispatch('given_table')(parameter)) }}
{%- endmacro %}

{% macro default__given_table(parameter) -%}
    {{ parameter }}
{%- endmacro %}

{% macro duckdb__given_table(parameter) -%}
    query_table({{ parameter }})
{%- endmacro %}

{#- A relation without its database's name: the file may be opened under another one. -#}
{% macro in_this_database(relation) -%}
    {{ relation if relation.is_cte else relation.include(database=false) }}
{%- endmacro %}
