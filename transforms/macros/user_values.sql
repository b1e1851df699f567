{#- How often each value of the items' declared lists is in the past of users, as of days: actions of the last 365 days
    on items that had the value as of the day. `points` as in user_item_features. -#}
{% macro user_values(points=none) %}
    with asked as (
        {%- if points %}
        select distinct user_id, as_of from {{ given_table(points) }}
        {%- else %}
        select user_id, as_of from {{ in_this_database(ref('feat_users')) }}
        {%- endif %}
    ),

    pairs as (
        select
            asked.user_id,
            daily.item_id,
            asked.as_of,
            sum(daily.actions) as actions
        from asked
        inner join {{ in_this_database(ref('int_user_item_daily')) }} as daily
            on asked.user_id = daily.user_id
            and daily.ds <= asked.as_of and daily.day > {{ plus_days('asked.as_of', -365) }}
        where daily.actions > 0
        group by asked.user_id, daily.item_id, asked.as_of
    ),

    listed as (
        {%- for name in declared_lists() %}
        select item_id, as_of, '{{ name }}' as attribute, {{ each_once(adapter.quote(name)) }} as value
        from {{ in_this_database(ref('feat_item_attributes')) }}
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    )

    select
        pairs.user_id,
        listed.attribute,
        listed.value,
        pairs.as_of,
        cast(sum(pairs.actions) as bigint) as actions
    from pairs
    inner join listed
        on pairs.item_id = listed.item_id and pairs.as_of = listed.as_of
    group by pairs.user_id, listed.attribute, listed.value, pairs.as_of
{%- endmacro %}

{#- Names of the items' attributes that are lists, as the rows of `user_values` spell them. -#}
{% macro declared_lists() -%}
    {{ return(var('attributes')['item'] | selectattr('type', 'equalto', 'varchar[]') | map(attribute='name') | list) }}
{%- endmacro %}
