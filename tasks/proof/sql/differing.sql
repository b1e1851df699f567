-- One row per key and copy that the two sides do not share with equal values.
-- Rows with the same key are numbered, so that a repeated key is compared copy by copy.
with a as (
    {{ numbered(ours) }}
),

b as (
    {{ numbered(theirs) }}
)

select
    {%- for key in keys %}
    coalesce(a.{{ identifier(key) }}, b.{{ identifier(key) }}) as {{ identifier(key) }},
    {%- endfor %}
    {%- for name in columns if name not in keys %}
    a.{{ identifier(name) }} as {{ identifier("ours_" ~ name) }},
    b.{{ identifier(name) }} as {{ identifier("theirs_" ~ name) }},
    {%- endfor %}
    a._copy is not null as in_ours,
    b._copy is not null as in_theirs
from a
full join b
    on
    a._copy = b._copy
    {%- for key in keys %}
    and a.{{ identifier(key) }} = b.{{ identifier(key) }}
    {%- endfor %}
where
    false
    {%- for name in columns %}
    or a.{{ identifier(name) }} is distinct from b.{{ identifier(name) }}
    {%- endfor %}
