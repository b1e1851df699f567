{#- The rules of `label.grades`, as the variable `grades` holds them: a `when` speaks of one interaction, a `pair` of
    facts of all of them. `ahead` is true of interactions in the horizon, false of those before the cut. -#}

{#- The interactions that follow a cut, each with the impression that it belongs to (`label.attribution`).

    `to: pair`: every impression of the pair, which is written as ''. `to: impression`: that of its own request, where
    the request is logged, else the last one of the pair before it within the window. An interaction that belongs to an
    impression of an earlier or later day than the cut's labels nothing here: it labels that one's. -#}
{% macro attributed(followed) -%}
    {%- if var('attribution_minutes') is none %}
    select
        *,
        '' as impression_id
    from {{ followed }}
    {%- else %}
    select
        {{ followed }}.*,
        owners.impression_id
    from {{ followed }}
    inner join (
        select
            {{ followed }}.interaction_id,
            {{ followed }}.ds,
            {{ followed }}.cut,
            {{ last_of('impressions.impression_id', ['impressions.shown_at', 'impressions.impression_id'], 'true') }}
                as impression_id
        from {{ followed }}
        inner join {{ ref('impressions') }} as impressions
            on {{ followed }}.user_id = impressions.user_id
            and {{ followed }}.item_id = impressions.item_id
            and {{ followed }}.cut < cast(impressions.shown_at as date)
            and impressions.ds <= {{ plus_days(followed ~ '.cut', var('horizon_days') + var('lateness_days')) }}
            and (
                {{ followed }}.request_id = impressions.request_id
                or (
                    {{ followed }}.request_id is null
                    and impressions.shown_at <= {{ followed }}.occurred_at
                    and impressions.shown_at
                    >= {{ followed }}.occurred_at - interval '{{ var("attribution_minutes") }}' minute
                )
            )
        group by {{ followed }}.interaction_id, {{ followed }}.ds, {{ followed }}.cut
        having cast(max(impressions.shown_at) as date) = {{ plus_days(followed ~ '.cut', 1) }}
    ) as owners
        on {{ followed }}.interaction_id = owners.interaction_id
        and {{ followed }}.ds = owners.ds
        and {{ followed }}.cut = owners.cut
    {%- endif %}
{%- endmacro %}

{#- Names of the facts that the rules mention. -#}
{% macro facts() -%}
    {{ return(var('grades') | map(attribute='facts', default=[]) | sum(start=[]) | unique | list) }}
{%- endmacro %}

{#- Whether a rule needs the interactions before the cut, as a condition. -#}
{% macro looks_back() -%}
    {{ 'true' if var('grades') | selectattr('looks_back', 'defined') | selectattr('looks_back') | list else 'false' }}
{%- endmacro %}

{#- The columns that rules are about: the facts they mention, and of the rule number n that is a `when`,
    as `any_<n>`, how many interactions in the horizon satisfy it. -#}
{% macro measured() -%}
    {%- for name in facts() -%}
        {{ fact(name) }} as {{ name }},
        {% endfor -%}
    {%- for rule in var('grades') -%}
        {%- if rule.when -%}
        sum(case when ahead and ({{ rule.when }}) then 1 else 0 end) as any_{{ loop.index }},
        {% endif -%}
    {%- endfor -%}
    count(*) as interactions
{%- endmacro %}

{#- A fact of a pair, as an aggregate of its interactions. `_max` and `_last` of nothing are null, so that no
    comparison with them holds; sums are exact whatever their order, then rounded to what people write. -#}
{% macro fact(name) -%}
    {%- set kind, measure = name.rsplit('_', 1) -%}
    {%- set in_horizon = "ahead and kind = '" ~ kind ~ "'" -%}
    {%- if name == 'rating_follows_play' -%}
        coalesce(
            max(case when ahead and kind = 'rating' then occurred_at end)
            > min(case when kind = 'play' then occurred_at end),
            false
        )
    {%- elif measure == 'count' -%}
        sum(case when {{ in_horizon }} then 1 else 0 end)
    {%- elif measure == 'before' -%}
        sum(case when (not ahead) and kind = '{{ kind }}' then 1 else 0 end)
    {%- elif measure == 'max' -%}
        max(case when {{ in_horizon }} then value end)
    {%- elif measure == 'sum' -%}
        round(sum(case when {{ in_horizon }} then {{ exact('value') }} else 0 end), 4)
    {%- elif measure == 'last' -%}
        {{ last_of('value', ['occurred_at', 'interaction_id', 'ds'], in_horizon) }}
    {%- endif -%}
{%- endmacro %}

{#- A text with a 1 for each rule that holds and a 0 for each other, in their order. -#}
{% macro rules_that_hold() -%}
    concat(
        {%- for rule in var('grades') %}
        case when {{ '(' ~ rule.pair ~ ')' if rule.pair else 'any_' ~ loop.index ~ ' > 0' }} then '1' else '0' end
        {{- ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}

{#- The grade of the rule of that number; 0 where it is 0. -#}
{% macro grade_of(number) -%}
    case {{ number }}
        {%- for rule in var('grades') %}
        when {{ loop.index }} then {{ rule.grade }}
        {%- endfor %}
        else 0
    end
{%- endmacro %}
