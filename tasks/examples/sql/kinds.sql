-- One row per item known as of a cut, with the attributes by which lists are re-ranked.
select
    feat_items.item_id{% for value in values %},
    {{ value.expression }} as {{ identifier(value.name) }}{% endfor %}
from feat_items
left join {{ declared }}
    on feat_items.item_id = {{ declared }}.item_id and feat_items.as_of = {{ declared }}.as_of
where feat_items.as_of = {{ literal(cut) }}
order by feat_items.item_id
