{#- Trailing windows of a daily aggregate as of every requested day (`control.as_of_days`), in one pass.

    relation  daily aggregate: keys, day (occurred), ds (known), and the columns of measures()
    keys      its key columns
    sums      {measure: [window in days, …]}; `active_days` counts the distinct days with an action

    Two clocks: a row is in window W as of C when it occurred in (C - W, C] and was known by C. So it enters on
    the day it became known and leaves W days after it occurred: rows become +/- moves, windows running sums.
    Moves before the first requested day fold into the opening balance; moves between two requested days into
    the later one. A row of the result holds `<measure>_<W>d`, last_action_day and first_action_day (both
    within 365 days, else null); keys whose windows are all empty have no row. -#}
{% macro trailing(relation, keys, sums) %}
{%- set longest = 365 -%}
{%- set key = keys | join(', ') -%}
{%- set sums = dict(sums, active_days=(sums.get('active_days', []) + [longest]) | unique | list) -%}
{%- set windows = sums.values() | sum(start=[]) | unique | sort -%}
    with bounds as (
        select min(day) as first_day, max(day) as last_day from {{ ref('int_calendar') }}
    ),

    active as (
        select {{ key }}, day, min(ds) as ds from {{ relation }} where actions > 0 group by {{ key }}, day
    ),

    facts as (
        select {{ key }}, day, ds, {% for m in measures() %}cast({{ m }} as double) as {{ m }}, {% endfor %}cast(0 as double) as active_days
        from {{ relation }}
        union all
        select {{ key }}, day, ds, {% for m in measures() %}0, {% endfor %}1 from active
    ),

    relevant as (
        select facts.*, greatest(facts.ds, bounds.first_day) as entered, bounds.last_day
        from facts
        cross join bounds
        where facts.ds <= bounds.last_day
            and (
                {%- for measure, lengths in sums.items() %}
                {{ 'or ' if not loop.first }}({{ measure }} <> 0 and {{ plus_days('day', lengths | max) }} > greatest(facts.ds, bounds.first_day))
                {%- endfor %}
            )
    ),

    moves as (
        select
            {{ key }}, entered as moved,
            {%- for measure, lengths in sums.items() %}{% for w in lengths %}
            case when {{ plus_days('day', w) }} > entered then {{ measure }} else 0 end as {{ measure }}_{{ w }}d,
            {%- endfor %}{% endfor %}
            case when active_days > 0 then day end as action_day
        from relevant
        {%- for window in windows %}
        union all
        select
            {{ key }}, {{ plus_days('day', window) }},
            {%- for measure, lengths in sums.items() %}{% for w in lengths %}
            {{ '-' ~ measure if w == window else '0' }},
            {%- endfor %}{% endfor %}
            null
        from relevant
        where {{ plus_days('day', window) }} > entered and {{ plus_days('day', window) }} <= last_day
            and (false{% for measure, lengths in sums.items() if window in lengths %} or {{ measure }} <> 0{% endfor %})
        {%- endfor %}
    ),

    balances as (
        select
            {{ key }}, calendar.as_of,
            {%- for measure, lengths in sums.items() %}{% for w in lengths %}
            sum(sum({{ measure }}_{{ w }}d)) over so_far as {{ measure }}_{{ w }}d,
            {%- endfor %}{% endfor %}
            max(max(action_day)) over so_far as last_action_day,
            lead(calendar.as_of) over (partition by {{ key }} order by calendar.as_of) as next_as_of
        from moves
        left join {{ ref('int_calendar') }} as calendar on moves.moved = calendar.day
        group by {{ key }}, calendar.as_of
        window so_far as (
            partition by {{ key }} order by calendar.as_of rows between unbounded preceding and current row
        )
    ),

    {# An action is the first of its window once the one before it has left; if one that happened earlier became
       known later, from the start. Of those, the earliest is the first: exact for rows of any lateness. #}
    candidates as (
        select
            {{ key }}, day, {{ plus_days('day', longest) }} as until_day,
            case
                when max(ds) over earlier > ds then ds
                else greatest(ds, coalesce({{ plus_days('lag(day) over (partition by ' ~ key ~ ' order by day)', longest) }}, ds))
            end as from_day
        from active
        window earlier as (partition by {{ key }} order by day rows between unbounded preceding and 1 preceding)
    ),

    firsts as (
        select {% for k in keys %}balances.{{ k }}, {% endfor %}balances.as_of, min(candidates.day) as first_action_day
        from balances
        inner join candidates
            on {% for k in keys %}balances.{{ k }} = candidates.{{ k }} and {% endfor %}candidates.from_day <= balances.as_of
            and candidates.until_day > balances.as_of
        where balances.active_days_{{ longest }}d > 0
        group by {% for k in keys %}balances.{{ k }}, {% endfor %}balances.as_of
    ),

    {# Kept apart, or DuckDB expands the days first and joins `firsts` to each of them. #}
    dated as {{ materialized() }} (
        select balances.*, firsts.first_action_day
        from balances
        left join firsts on {% for k in keys %}balances.{{ k }} = firsts.{{ k }} and {% endfor %}balances.as_of = firsts.as_of
        where {% for measure, lengths in sums.items() %}{{ 'or ' if not loop.first }}balances.{{ measure }}_{{ lengths | max }}d <> 0 {% endfor %}
    )

    select
        {% for k in keys %}dated.{{ k }}, {% endfor %}days.as_of,
        {%- for measure, lengths in sums.items() %}{% for w in lengths %}
        dated.{{ measure }}_{{ w }}d,
        {%- endfor %}{% endfor %}
        case when dated.active_days_{{ longest }}d > 0 then dated.last_action_day end as last_action_day,
        dated.first_action_day
    from dated
    inner join {{ source('control', 'as_of_days') }} as days
        on dated.as_of <= days.as_of and (dated.next_as_of is null or days.as_of < dated.next_as_of)
{%- endmacro %}

{#- Days since a day, 366 where there is none within the longest window. -#}
{% macro days_since(day) -%}
    coalesce({{ days_between(day, 'as_of') }}, 366)
{%- endmacro %}

{#- The last 7 days' rate over the last 28 days': 1 = steady, above = rising; one action is added to each
    28-day total, so that little evidence means about 1. -#}
{% macro trend(last_7d, last_28d) -%}
    (4 * {{ last_7d }} + 1) / ({{ last_28d }} + 1)
{%- endmacro %}

{#- Share of impressions followed by an action on the same day, pulled towards 1 in 20 by 20 impressions. -#}
{% macro click_rate(impressions, unclicked) -%}
    ({{ impressions }} - {{ unclicked }} + 1) / ({{ impressions }} + 20)
{%- endmacro %}

{#- Totals of a joined relation, 0 where it has no row. -#}
{% macro totals(relation, columns) -%}
    {%- for column in columns -%}
        coalesce({{ relation }}.{{ column }}, 0) as {{ column }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
