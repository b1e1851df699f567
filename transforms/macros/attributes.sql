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
