{#- How many distinct others (the users of an item …) a key had actions with in trailing windows, as of every
    requested day: `others_<W>d`, and `repeated_<W>d` of them on two days or more for the longest window. Only
    the days on which a pair's state changes are looked at, never every pair on every day. -#}
{% macro trailing_others(relation, key, other, windows) %}
{%- set longest = windows | max -%}
    with {{ balances(relation, [key, other], {'active_days': windows}) }},

    present as (
        select
            {{ key }}, {{ other }}, as_of,
            {%- for w in windows %}
            case when active_days_{{ w }}d > 0 then 1 else 0 end as others_{{ w }}d,
            {%- endfor %}
            case when active_days_{{ longest }}d > 1 then 1 else 0 end as repeated_{{ longest }}d
        from balances
    ),

    changes as (
        select
            {{ key }}, as_of,
            {%- for w in windows %}
            others_{{ w }}d - lag(others_{{ w }}d, 1, 0) over pair as others_{{ w }}d,
            {%- endfor %}
            repeated_{{ longest }}d - lag(repeated_{{ longest }}d, 1, 0) over pair as repeated_{{ longest }}d
        from present
        window pair as (partition by {{ key }}, {{ other }} order by as_of)
    ),

    totals as (
        select
            {{ key }}, as_of,
            {%- for w in windows %}
            sum(sum(others_{{ w }}d)) over so_far as others_{{ w }}d,
            {%- endfor %}
            sum(sum(repeated_{{ longest }}d)) over so_far as repeated_{{ longest }}d,
            lead(as_of) over (partition by {{ key }} order by as_of) as next_as_of
        from changes
        group by {{ key }}, as_of
        window so_far as (partition by {{ key }} order by as_of rows between unbounded preceding and current row)
    )

    select
        totals.{{ key }}, days.as_of,
        {%- for w in windows %}
        totals.others_{{ w }}d,
        {%- endfor %}
        totals.repeated_{{ longest }}d
    from totals
    {{ expanded('totals') }}
    where totals.others_{{ longest }}d > 0
{%- endmacro %}
