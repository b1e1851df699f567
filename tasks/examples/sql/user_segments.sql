-- One row per user who has a value of an attribute as of a cut.
select
    {{ mart }}.user_id,
    cast({{ segment }} as varchar) as segment
from {{ mart }}
where {{ mart }}.as_of = {{ literal(cut) }} and {{ segment }} is not null
order by {{ mart }}.user_id
