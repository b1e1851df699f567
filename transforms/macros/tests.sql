{#- One row per grain, in the days that were just built (`recent`: ds, as_of, cut; of a view last_as_of, its last
    day; none = the whole table). -#}
{% test unique_grain(model, columns, recent=none) %}
    select {{ columns | join(', ') }}, count(*) as copies
    from {{ model }}
    {{ just_built(recent) }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}

{#- A predicate that every row just built must satisfy; null counts as broken. -#}
{% test holds(model, expression, recent=none) %}
    select *
    from {{ model }}
    {{ just_built(recent) }}
    {{ 'and' if recent else 'where' }} coalesce(not ({{ expression }}), true)
{% endtest %}

{#- Every row just built is of a kind that the pipeline knows. -#}
{% test of_a_known_kind(model, column_name, recent=none) %}
    select {{ column_name }}, count(*) as copies
    from {{ model }}
    {{ just_built(recent) }}
    {{ 'and' if recent else 'where' }} {{ column_name }} not in {{ kinds() }}
    group by {{ column_name }}
{% endtest %}

{#- Every declared number is one of 32 bits, as features are: none is NaN, infinite, or beyond 3.4e38. -#}
{% test finite_numbers(model, entity, recent=none) %}
    select *
    from {{ model }}
    {{ just_built(recent) or 'where true' }} and (
        false
        {%- for attribute in var('attributes')[entity] if attribute.type in ('float', 'double') %}
        or not coalesce(abs({{ adapter.quote(attribute.name) }}) <= 3.4e38, true)
        or {{ is_nan(adapter.quote(attribute.name)) }}
        {%- endfor %}
    )
{% endtest %}

{#- Accepted and refused rows are all the landed rows: their numbers add up for each day just loaded.
    `accepted`: the canonical table of the accepted rows, by default the tested model's rows without a rule. -#}
{% test accounts_for_landed(model, table, accepted=none) %}
    with landed as (
        select ds, count(*) as landed from {{ landing(table) }} as landed group by ds
    ),

    kept as (
        select ds, count(*) as kept
        from {{ accepted or model }}
        where ds in {{ changed_days() }}{{ ' and rule is null' if not accepted }}
        group by ds
    ),

    refused as (
        select ds, count(*) as refused
        from {{ ref('rejected_rows') }}
        where table_name = '{{ table }}' and rule <> 'unparseable' and ds in {{ changed_days() }}
        group by ds
    )

    select *
    from landed
    full join kept using (ds)
    full join refused using (ds)
    where coalesce(landed, 0) <> coalesce(kept, 0) + coalesce(refused, 0)
{% endtest %}

{% macro just_built(column) -%}
    {%- if column == 'ds' -%}
    where ds in {{ changed_days() }}
    {%- elif column == 'as_of' -%}
    where as_of in {{ requested_days() }}
    {%- elif column == 'last_as_of' -%}
    {%- set last = run_query("select max(as_of) from control.as_of_days").columns[0].values()[0] if execute %}
    where as_of = {{ "date '" ~ last ~ "'" if last else 'null' }}
    {%- elif column == 'cut' -%}
    where cut in (select cut from {{ source('control', 'cuts') }})
    {%- endif -%}
{%- endmacro %}
