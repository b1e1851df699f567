-- One row per user who has a value of an attribute as of a cut.
select
    user_id,
    cast({{ value }} as varchar) as segment
from {{ relation }}
where as_of = {{ literal(cut) }} and {{ value }} is not null
order by user_id
