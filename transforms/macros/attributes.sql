{#- What sources tell of users and items, from the staged rows to what was known as of a day. -#}

{#- One row per key and day of landing: what was observed last that day, and the earliest `since` told that day. Equal
    instants are decided by the values, so that the row does not depend on the order of the landed ones. Beside
    the columns it has the entity's declared attributes. -#}
{% macro last_observations(staged, key, columns, since, entity) %}
{%- set types = declared_types(entity) -%}
{%- set columns = columns + declared_names(entity) -%}
    with numbered as (
        select
            *,
            row_number() over (
                partition by {{ key }}, ds order by observed_at desc, {{ columns | join(' desc, ') }} desc, {{ since }} desc
            ) as place
        from {{ staged }}
        where rule is null
    ),

    earliest as (
        select
            *,
            min({{ since }}) over (partition by {{ key }}, ds) as earliest_{{ since }}
        from numbered
    )

    select
        {{ key }},
        {%- for column in columns %}
        {{ 'cast(%s as %s) as %s' % (column, types[column], column) if column in types else column }},
        {%- endfor %}
        earliest_{{ since }} as {{ since }},
        ds
    from earliest
    where place = 1
{%- endmacro %}

{#- The earliest value of a column that had landed by a day. -#}
{% macro earliest_by_then(column, key) -%}
    min({{ column }}) over (partition by {{ key }} order by ds rows between unbounded preceding and current row)
{%- endmacro %}

{#- A row per change of the observed columns, or of `since`, an expression over them that is named `since_name`. -#}
{% macro changes(observations, key, columns, since, since_name) %}
{%- set told = "%s || '/' || cast(%s as varchar)" % (columns | join(" || '/' || "), since_name) -%}
    with observed as (
        select * from {{ observations }}
    ),

    known as (
        select
            {{ key }},
            ds as valid_from,
            {%- for column in columns %}
            {{ column }},
            {%- endfor %}
            {{ since }} as {{ since_name }}
        from observed
    ),

    compared as (
        select
            *,
            lag({{ told }}) over (partition by {{ key }} order by valid_from) as before
        from known
    )

    select
        {{ key }},
        valid_from,
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {{ since_name }}
    from compared
    where before is null or before <> {{ told }}
{%- endmacro %}

{#- What was known of each user or item as of every requested day: the last change landed by then. -#}
{% macro attributes_as_of(relation, key, columns) %}
    with changes as (
        select
            {{ key }},
            {%- for column in columns %}
            {{ column }},
            {%- endfor %}
            valid_from,
            lead(valid_from) over (partition by {{ key }} order by valid_from) as valid_until
        from {{ relation }}
    )

    select
        changes.{{ key }},
        {%- for column in columns %}
        changes.{{ column }},
        {%- endfor %}
        days.as_of
    from changes
    inner join {{ source('control', 'as_of_days') }} as days
        on changes.valid_from <= days.as_of and (changes.valid_until is null or days.as_of < changes.valid_until)
{%- endmacro %}
