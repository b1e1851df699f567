{#- What the staging models of all sources share: how a landed row is read, told from its copies, and ruled on. -#}
{#- CTEs up to `ruled`: the landed rows of a table with the first rule that each breaks, null if none. The call's body
    is a `case` over the landed columns that names the rule a row breaks by itself; rows that pass it are held against
    the others: those that an earlier day has sent (of a table with a `key`), exact copies within their day, and (with
    `id`) other rows of the same id are rejected, all but one.

    table: of the landing. columns: those in which copies are equal; all that the source declares, if absent. id: column that must tell the rows of a day apart.
    order_by: which of equal rows comes first. derived: columns that the body and the model need, by name.
    ids: columns that become ids of users, items or requests. values: columns that become numbers of interactions. -#}
{% macro ruled(table, columns=none, id=none, order_by=none, derived={}, ids=[], values=[]) %}
    {%- set columns = columns or landed_columns(table) %}
    source as (
        select
            *
            {%- for name, expression in derived.items() %}, {{ expression }} as {{ name }}{% endfor %}
        from {{ landing(table) }} as landed
    ),

    judged as (
        select
            *,
            coalesce(
                {{ caller() }}
                {%- for column in ids %},
                case when length({{ column }}) > {{ longest_id() }} then 'id_too_long' end
                {%- endfor %}
                {%- for column in values %},
                case when not abs({{ column }}) <= {{ largest_value() }} then 'value_too_large' end
                {%- endfor %}
            ) as fault
        from source
    ),

    compared as (
        select
            *,
            row_number() over (partition by ds, {{ columns | join(', ') }} order by {{ order_by or columns[0] }}) as copy
            {%- if id %},
            dense_rank() over (partition by ds, {{ id }}, fault order by {{ columns | join(', ') }}) as version
            {%- endif %}
        from judged
    ),

    ruled as (
        select
            *,
            case
                when fault is not null then fault
                {{- " when sent_before is not null then 'sent_again'" if tells_sent_before(table) }}
                when copy > 1 then 'exact_duplicate'
                {{- " when version > 1 then 'repeated_id'" if id }}
            end as rule
        from compared
    )
{%- endmacro %}

{#- Longer ids cannot be asked for when serving. -#}
{% macro longest_id() %}512{% endmacro %}

{#- Sums over windows of larger values would leave the range of the 32-bit floats that features are. -#}
{% macro largest_value() %}1e15{% endmacro %}

{#- The landed row as JSON, of rejected rows only; `columns`, or all that the source declares of a table, and `more`. -#}
{% macro rejected_row(columns, more=[]) -%}
    {%- set columns = landed_columns(columns) if columns is string else columns -%}
    case when rule is not null then {{ row_as_json(columns + more) }} end
{%- endmacro %}

{#- The columns that the dataset file declares of a table, quoted, in their order; `dataset_columns` is made from it. -#}
{% macro landed_columns(table) -%}
    {%- set names = [] -%}
    {%- for name in dataset_columns(table) -%}
        {%- do names.append(adapter.quote(name)) -%}
    {%- endfor -%}
    {{- return(names) -}}
{%- endmacro %}

{#- The rejected rows of landed tables, each given with the model that stages it. -#}
{% macro rejected_rows(models) %}
    {%- for table, model in models.items() %}
    select '{{ table }}' as table_name, rule, "row", ds
    from {{ ref(model) }}
    where rule is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- The staged rows that break no rule; an optional column that the source's staging does not give is null. -#}
{% macro accepted(staged, columns, optional={}) %}
    {%- set given = columns_of(staged) if optional else [] %}
    select
        {{ columns | join(', ') }}
        {%- for column, type in optional.items() %},
        {{ 'cast(null as ' ~ type ~ ') as ' if column not in given }}{{ column }}
        {%- endfor %}
    from {{ staged }}
    where rule is null
{%- endmacro %}

{#- Names of a relation's columns, in lower case. -#}
{% macro columns_of(relation) -%}
    {{ return([] if not execute else adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list) }}
{%- endmacro %}

{#- `stg_impressions` of a source that does not know what it showed. -#}
{% macro no_impressions() %}
    select
        cast(null as varchar) as impression_id,
        cast(null as varchar) as request_id,
        cast(null as varchar) as user_id,
        cast(null as varchar) as item_id,
        cast(null as integer) as position,
        cast(null as varchar) as policy,
        cast(null as double) as propensity,
        cast(null as timestamp) as shown_at,
        cast(null as timestamp) as known_at,
        cast(null as date) as ds,
        cast(null as varchar) as rule
    where false
{%- endmacro %}
