{#- The impressions of the days that are loaded now. -#}
{% macro shown() -%}
    {%- set query = "select path from control.partitions where changed order by ds" -%}
    {%- set paths = run_query(query).columns[0].values() if execute else [] -%}
    (
        {%- if paths %}
        select user_id, item_id, day, day as ds
        from read_parquet([{% for path in paths %}'{{ path }}'{{ ', ' if not loop.last }}{% endfor %}])
        {%- else %}
        select 0::bigint as user_id, 0::bigint as item_id, date '1970-01-01' as day, date '1970-01-01' as ds where false
        {%- endif %}
    )
{%- endmacro %}

{#- What `user_item_features` does, for two counts. -#}
{% macro pair_counts(points) -%}
    with known as (
        select distinct asked.user_id, asked.item_id, asked.as_of, daily.day, daily.ds, daily.impressions
        from {{ given_table(points) }} as asked
        inner join {{ in_this_database(ref('pair_daily')) }} as daily
            on asked.user_id = daily.user_id and asked.item_id = daily.item_id
            and daily.ds <= asked.as_of and daily.day > {{ plus_days('asked.as_of', -28) }}
    )

    select user_id, item_id, as_of, {{ sum_within('impressions', [7, 28]) }}
    from known
    group by user_id, item_id, as_of
{%- endmacro %}

{#- What `daily_sums_of_pairs` does, for impressions alone. -#}
{% macro impressions_of(key) %}
    select {{ key }}, day, ds, cast(sum(impressions) as integer) as impressions
    from {{ ref('pair_daily') }}
    where ds in {{ changed_days() }}
    group by {{ key }}, day, ds
{%- endmacro %}
