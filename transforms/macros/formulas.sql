{#- Totals of a measure over the last days up to `as_of`, by the `day` of each row. -#}
{% macro sum_within(measure, windows) -%}
    {%- for window in windows -%}
        sum(
            {%- if window < 365 -%}
            case when {{ plus_days('day', window) }} > as_of then {{ measure }} else 0 end
            {%- else -%}
            {{ measure }}
            {%- endif -%}
        ) as {{ measure }}_{{ window }}d{{ ',\n            ' if not loop.last }}
    {%- endfor -%}
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

{#- Columns as features of an entity, whose name stands before theirs. -#}
{% macro as_features(entity, columns) -%}
    {%- for column in columns -%}
        cast({{ column }} as float) as {{ entity }}_{{ column }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{#- Relations of a key and as_of, joined to one that has every row wanted. -#}
{% macro left_joined(relations, to, key) -%}
    {%- for relation in relations %}
    left join {{ relation }} on {{ to }}.{{ key }} = {{ relation }}.{{ key }} and {{ to }}.as_of = {{ relation }}.as_of
    {%- endfor %}
{%- endmacro %}

{#- Rows of users as of days with totals of the user's, to make shares of. -#}
{% macro with_user_features(relation, columns) -%}
    select {{ relation }}.*{% for column in columns %}, users.{{ column }}{% endfor %}
    from {{ relation }}
    inner join {{ in_this_database(ref('feat_users')) }} as users
        on {{ relation }}.user_id = users.user_id and {{ relation }}.as_of = users.as_of
{%- endmacro %}

{#- Totals of a joined relation, 0 where it has no row. -#}
{% macro totals(relation, columns) -%}
    {%- for column in columns -%}
        coalesce({{ relation }}.{{ column }}, 0) as {{ column }}{{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
