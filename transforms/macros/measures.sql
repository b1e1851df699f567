{#- What a kind of interaction counts as. The only place that says so. -#}
{% macro kinds(measure=none) -%}
    {%- set measures = {
        'actions': ['play', 'purchase', 'rating', 'click'],
        'saves': ['list_add'],
        'undos': ['cancellation'],
    } -%}
    {%- set chosen = measures[measure] if measure else (measures.values() | sum(start=[])) -%}
    ('{{ chosen | join("', '") }}')
{%- endmacro %}

{% macro is_a(measure, kind='kind') -%}
    {{ kind }} in {{ kinds(measure) }}
{%- endmacro %}

{#- The additive columns of the daily aggregates. -#}
{% macro measures() -%}
    {{ return(['actions', 'quantity', 'saves', 'undos', 'impressions', 'unclicked']) }}
{%- endmacro %}

{#- A value in whole 2^-20ths. Sums of such numbers are exact in DOUBLE (below 2^33), whatever their order, so
    that adding a row to a running sum and taking it out again leaves nothing behind. -#}
{% macro exact(value) -%}
    round({{ value }} * 1048576) / 1048576
{%- endmacro %}
