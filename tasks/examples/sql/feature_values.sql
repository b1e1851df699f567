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
    chosen.place{% for name, relation, default in values %},
    cast(coalesce({{ relation }}.{{ identifier(name) }}, {{ default }}) as float) as {{ identifier(name) }}{% endfor %}
from chosen{% for mart in marts %}
left join {{ mart.rows }} as {{ mart.name }}
    on chosen.cut = {{ mart.name }}.as_of{% for key, column in mart.joined_by %}
    and {{ column }} = {{ mart.name }}.{{ key }}{% endfor %}{% endfor %}
order by chosen.place
