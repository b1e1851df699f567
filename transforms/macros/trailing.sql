{#- Trailing windows of a daily aggregate as of every requested day (`control.as_of_days`), in one pass.

    relation  daily aggregate: keys, day (occurred), ds (known), and the measures that `sums` names
    keys      its key columns
    sums      {measure: [window in days, …]}; `active_days` counts the distinct days with an action

    Two clocks: a row is in window W as of C when it occurred in (C - W, C] and was known by C. So it enters on
    the day it became known and leaves W days after it occurred: rows become +/- moves, windows running sums.
    Moves before the first requested day fold into the opening balance; moves between two requested days into
    the later one. A row of the result holds `<measure>_<W>d` and, with `active_days` over 365 days,
    last_action_day and first_action_day (both within 365 days, else null); keys whose windows are all empty
    have no row. -#}
{% macro trailing(relation, keys, sums) %}
{%- set longest = 365 -%}
{%- set key = keys | join(', ') -%}
{%- set recency = longest in sums.get('active_days', []) -%}
    with {{ balances(relation, keys, sums, recency) }},

    {%- if recency %}

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

    {%- endif %}

    {# Kept apart, or DuckDB expands the days first and joins `firsts` to each of them. #}
    dated as {{ materialized() if recency }} (
        select balances.*{{ ', firsts.first_action_day' if recency }}
        from balances
        {%- if recency %}
        left join firsts on {% for k in keys %}balances.{{ k }} = firsts.{{ k }} and {% endfor %}balances.as_of = firsts.as_of
        {%- endif %}
        where {% for measure, lengths in sums.items() %}{{ 'or ' if not loop.first }}balances.{{ measure }}_{{ lengths | max }}d <> 0 {% endfor %}
    )

    select
        {% for k in keys %}dated.{{ k }}, {% endfor %}days.as_of
        {%- for measure, lengths in sums.items() %}{% for w in lengths %},
        dated.{{ measure }}_{{ w }}d
        {%- endfor %}{% endfor %}
        {%- if recency %},
        case when dated.active_days_{{ longest }}d > 0 then dated.last_action_day end as last_action_day,
        dated.first_action_day
        {%- endif %}
    from dated
    {{ expanded('dated') }}
{%- endmacro %}

{#- CTEs up to `balances`: running sums per key, a row for each requested day by which one of them had changed;
    with `recency` also last_action_day. -#}
{% macro balances(relation, keys, sums, recency=false) %}
{%- set key = keys | join(', ') -%}
{%- set windows = sums.values() | sum(start=[]) | unique | sort -%}
{%- set counted = sums | reject('equalto', 'active_days') | list -%}
    bounds as (
        select min(day) as first_day, max(day) as last_day from {{ ref('int_calendar') }}
    ),

    {%- if 'active_days' in sums %}

    active as (
        select {{ key }}, day, min(ds) as ds from {{ relation }} where actions > 0 group by {{ key }}, day
    ),

    {%- endif %}

    facts as (
        {%- if counted %}
        select {{ key }}, day, ds{% for m in counted %}, cast({{ m }} as double) as {{ m }}{% endfor %}
            {{- ', cast(0 as double) as active_days' if 'active_days' in sums }}
        from {{ relation }}
        {%- endif %}
        {{- '\n        union all' if counted and 'active_days' in sums }}
        {%- if 'active_days' in sums %}
        select {{ key }}, day, ds{% for m in counted %}, 0{% endfor %}, 1 as active_days from active
        {%- endif %}
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
            {{ 'case when active_days > 0 then day end' if recency else 'null' }} as action_day
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
            {{ 'max(max(action_day)) over so_far as last_action_day,' if recency }}
            lead(calendar.as_of) over (partition by {{ key }} order by calendar.as_of) as next_as_of
        from moves
        left join {{ ref('int_calendar') }} as calendar on moves.moved = calendar.day
        group by {{ key }}, calendar.as_of
        window so_far as (
            partition by {{ key }} order by calendar.as_of rows between unbounded preceding and current row
        )
    )
{%- endmacro %}

{#- Each requested day with the row that holds as of it: from its own day until the key's next row. -#}
{% macro expanded(relation) -%}
    inner join {{ source('control', 'as_of_days') }} as days
        on {{ relation }}.as_of <= days.as_of and ({{ relation }}.next_as_of is null or days.as_of < {{ relation }}.next_as_of)
{%- endmacro %}
