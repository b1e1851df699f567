{#- Attributes of users, items and requests that a source's staging declares beyond the contract: the variable
    `attributes`, which tasks/spec/attributes.py reads from the staging's yml. -#}

{#- Names of an entity's declared attributes, quoted: one may be a word of SQL, such as `language`. -#}
{% macro declared_names(entity) -%}
    {{ return(declared_types(entity).keys() | list) }}
{%- endmacro %}

{#- Their SQL types, by name. -#}
{% macro declared_types(entity) -%}
    {%- set types = {} -%}
    {%- for attribute in var('attributes')[entity] -%}
        {%- do types.update({adapter.quote(attribute.name): attribute.type}) -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}

{#- Columns of staged rows that are the declared attributes, each followed by a comma. -#}
{% macro declared_columns(entity) -%}
    {%- for name, type in declared_types(entity).items() -%}
    cast({{ name }} as {{ type }}) as {{ name }},
    {% endfor -%}
{%- endmacro %}

{#- A row per change of the declared attributes. Unlike `changes`, which joins texts: these may be null. -#}
{% macro declared_changes(observations, key, entity) %}
{%- set names = declared_names(entity) -%}
    with compared as (
        select
            {{ key }},
            ds as valid_from
            {%- for name in names %},
            {{ name }},
            lag({{ name }}) over who as before_{{ loop.index }}
            {%- endfor %},
            row_number() over who as place
        from {{ observations }}
        window who as (partition by {{ key }} order by ds)
    )

    select
        {{ key }},
        valid_from
        {%- for name in names %},
        {{ name }}
        {%- endfor %}
    from compared
    where
        place = 1
        {%- for name in names %}
        or {{ name }} is distinct from before_{{ loop.index }}
        {%- endfor %}
{%- endmacro %}

{#- The declared attributes of each user or item as of days: the last change that had landed by then.

    points  none: as of every day of the mart that has the entity's features, which is what the view is;
            else a table function's parameter naming a table (user_id, item_id, as_of): those alone. -#}
{% macro declared_as_of(relation, mart, key, entity, points=none) %}
{%- set names = declared_names(entity) -%}
    with asked as (
        {%- if points %}
        select distinct {{ key }}, as_of from {{ given_table(points) }}
        {%- else %}
        select {{ key }}, as_of from {{ in_this_database(mart) }}
        {%- endif %}
    ),

    changes as (
        select
            {{ key }},
            {%- for name in names %}
            {{ name }},
            {%- endfor %}
            valid_from,
            lead(valid_from) over (partition by {{ key }} order by valid_from) as valid_until
        from {{ in_this_database(relation) }}
    )

    select
        asked.{{ key }},
        asked.as_of
        {%- for name in names %},
        changes.{{ name }}
        {%- endfor %}
    from asked
    inner join changes
        on asked.{{ key }} = changes.{{ key }}
        and changes.valid_from <= asked.as_of
        and (changes.valid_until is null or asked.as_of < changes.valid_until)
{%- endmacro %}
