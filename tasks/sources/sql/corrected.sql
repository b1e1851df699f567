-- One row per row of a landed day after its corrections, in the day's order.
-- Of rows that are equal the last ones are replaced, in the order of the corrections' ids.
with wanted as (
    select
        before,
        after,
        row_number() over (partition by before order by id) as copy
    from corrections
),

originals as (
    select distinct before from wanted
),

copies as (
    select
        landed._at,
        originals.before,
        row_number() over (partition by originals.before order by landed._at desc) as copy
    from landed
    inner join originals
        on
        true
        {%- for name in columns %}
        and landed.{{ identifier(name) }} is not distinct from struct_extract(originals.before, {{ literal(name) }})
        {%- endfor %}
),

replaced as (
    select
        copies._at,
        wanted.after
    from copies
    inner join wanted on copies.copy = wanted.copy and copies.before is not distinct from wanted.before
)

select
    {%- for name in columns %}
    {{ identifier(name) }},
    {%- endfor %}
    _at
from landed
where _at not in (select replaced._at from replaced)
union all
select
    {%- for name in columns %}
    struct_extract(after, {{ literal(name) }}) as {{ identifier(name) }},
    {%- endfor %}
    _at
from replaced
{%- if line %}
union all
select
    {%- for name in columns %}
    struct_extract(after, {{ literal(name) }}) as {{ identifier(name) }},
    {%- endfor %}
    (
        select count(*) from landed
        where landed.{{ identifier(line) }} < new.line
    ) - 0.5 as _at
from new
{%- endif %}
order by _at{% if line %}, {{ identifier(line) }}{% endif %}
