-- One row per row of a relation (user_id, item_id, cut, place), in order of place: features as examples have them.
with chosen as not materialized (
    select * from {{ asked }}
),

points as not materialized (
    select distinct
        user_id,
        item_id,
        cut as as_of
    from chosen
)

select
    chosen.place{% for value in values %},
    cast({{ value.expression }} as float) as {{ identifier(value.name) }}{% endfor %}
from chosen{% for part in joined %}
left join {{ part.rows }} as {{ part.name }}
    on {{ part.condition }}{% endfor %}
order by chosen.place
