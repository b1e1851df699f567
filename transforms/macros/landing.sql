{#- The landed rows of every day that is to be loaded now, typed as the source's yml declares, with their `ds`.

    A day with any changed partition is read whole (all its tables), because the models clear whole days.
    In a unit test the fixture stands in for the landing. -#}
{% macro landing(table) -%}
    {%- set relation = source('landing', table) -%}
    {%- if not execute or relation.is_cte -%}
        {{- relation -}}
    {%- else -%}
        {{- adapter.dispatch('landing')(table) -}}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__landing(table) -%}
    {%- set declared = graph.sources.values()
        | selectattr('source_name', 'equalto', 'landing') | selectattr('name', 'equalto', table) | first -%}
    {%- set paths = landed_files(table) -%}
    (
        select
            {%- for column in declared.columns.values() %}
            cast({{ 'null' if not paths else 'files.' ~ adapter.quote(column.name) }} as {{ column.data_type }}) as {{ adapter.quote(column.name) }},
            {%- endfor %}
            {{ 'files.sent_before' if files_tell_sent_before(paths) else 'cast(null as date)' }} as sent_before,
            {{ 'cast(null as date)' if not paths else 'partitions.ds' }} as ds
        {%- if paths %}
        from read_parquet(
            {{ path_list(paths) }},
            hive_partitioning = false, union_by_name = true, filename = '_landed_path'
        ) as files
        left join {{ source('control', 'partitions') }} as partitions
            on files._landed_path = partitions.path
        {%- else %}
        where false
        {%- endif %}
    )
{%- endmacro %}

{#- Paths of a table's partitions that are to be loaded now. -#}
{% macro landed_files(table) -%}
    {{ return(run_query(
        "select path from control.partitions where table_name = '" ~ table ~ "'"
        ~ " and ds in (select ds from control.partitions where changed) order by ds"
    ).columns[0].values()) }}
{%- endmacro %}

{#- Whether landed rows have `sent_before`, the day that sent their key: those of a unit test are a fixture. -#}
{% macro tells_sent_before(table) -%}
    {{- return(execute and not source('landing', table).is_cte) -}}
{%- endmacro %}

{#- Whether files have it: those of a table with a key. -#}
{% macro files_tell_sent_before(paths) -%}
    {{- return(paths and run_query(
        "select count(*) from parquet_schema(" ~ path_list(paths) ~ ") where name = 'sent_before'"
    ).columns[0].values()[0] > 0) -}}
{%- endmacro %}

{% macro path_list(paths) -%}
    [{% for path in paths %}'{{ path | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}]
{%- endmacro %}

{#- The days whose rows a per-day model clears and loads again. -#}
{% macro changed_days() -%}
    (select ds from {{ source('control', 'partitions') }} where changed)
{%- endmacro %}

{#- The feature days that are built now. -#}
{% macro requested_days() -%}
    (select as_of from {{ source('control', 'as_of_days') }})
{%- endmacro %}

{#- The days that a model of a grain clears and adds now. -#}
{% macro days_of(grain) -%}
    {{ return({
        'ds': "select ds from control.partitions where changed",
        'as_of': "select as_of from control.as_of_days",
        'cut': "select cut from control.cuts",
    }[grain]) }}
{%- endmacro %}

{#- Pre-hook of every model: clear the days that are built again, in the transaction that adds them. -#}
{% macro clear() -%}
    {%- set grain = (config.get('meta') or {}).get('grain') -%}
    {%- if execute and grain and is_incremental() -%}
        delete from {{ this }} where {{ grain }} in ({{ days_of(grain) }})
    {%- endif -%}
{%- endmacro %}

{#- Post-hooks of every model: record in the ledger, in the same transaction, what the added days were made from. -#}
{% macro clear_ledger() -%}
    {%- set grain = (config.get('meta') or {}).get('grain') -%}
    {%- if execute and grain -%}
        delete from control.ledger where model = '{{ this.name }}' and day in ({{ days_of(grain) }})
    {%- endif -%}
{%- endmacro %}

{% macro record() -%}
    {%- set grain = (config.get('meta') or {}).get('grain') -%}
    {%- if execute and grain == 'ds' -%}
        insert into control.ledger
        select '{{ this.name }}', table_name, ds, sha256 from control.partitions where ds in ({{ days_of('ds') }})
    {%- elif execute and grain -%}
        insert into control.ledger
        select '{{ this.name }}', '', {{ grain }}, digest
        from {{ 'control.as_of_days' if grain == 'as_of' else 'control.cuts' }}
    {%- endif -%}
{%- endmacro %}
