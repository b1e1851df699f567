{#- What a kind of interaction counts as: the ones that every pipeline knows, and the pipeline's own
    (`interactions.kinds` of its file). The only place in SQL that says so. -#}
{% macro kinds(measure=none) -%}
    {%- set measures = {
        'actions': ['play', 'purchase', 'rating', 'click'],
        'saves': ['list_add'],
        'undos': ['cancellation'],
    } -%}
    {%- for kind, own_measure in var('own_kinds').items() -%}
        {%- do measures[own_measure].append(kind) -%}
    {%- endfor -%}
    {%- set chosen = measures[measure] if measure else (measures.values() | sum(start=[])) -%}
    ('{{ chosen | join("', '") }}')
{%- endmacro %}

{% macro is_a(measure, kind='kind') -%}
    {{ kind }} in {{ kinds(measure) }}
{%- endmacro %}

{#- The measures of the daily aggregates that are sums of the same measure of what they are made from; `unclicked`,
    which depends on the pair's whole day, is each model's own. -#}
{% macro summed_measures() -%}
    cast(sum(actions) as integer) as actions,
    sum(quantity) as quantity,
    cast(sum(saves) as integer) as saves,
    cast(sum(undos) as integer) as undos,
    cast(sum(impressions) as integer) as impressions
{%- endmacro %}

{#- The daily rows of pairs, of the days that are loaded now, summed up for the users or the items alone. -#}
{% macro daily_sums_of_pairs(key) %}
    select
        {{ key }},
        day,
        ds,
        {{ summed_measures() }},
        cast(sum(unclicked) as integer) as unclicked
    from {{ ref('int_user_item_daily') }}
    where ds in {{ changed_days() }}
    group by {{ key }}, day, ds
{%- endmacro %}

{#- A value in whole 2^-20ths. Sums of such numbers are exact in DOUBLE (below 2^33), whatever their order, so
    that adding a row to a running sum and taking it out again leaves nothing behind. -#}
{% macro exact(value) -%}
    round({{ value }} * 1048576) / 1048576
{%- endmacro %}
