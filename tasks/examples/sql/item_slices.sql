-- One row per item that is relevant at some cut, and cut: its attributes as known then, each as a list of texts.
select
    relevant.item_id,
    relevant.cut{% for value in values %},
    {{ value.expression }} as {{ identifier(value.name) }}{% endfor %}
from (
    select distinct
        item_id,
        cut
    from labels
    where grade > 0 and cut in ({{ literals(cuts) }})
) as relevant
inner join feat_items
    on relevant.item_id = feat_items.item_id and relevant.cut = feat_items.as_of
{%- if declared %}
left join {{ declared }}
    on relevant.item_id = {{ declared }}.item_id and relevant.cut = {{ declared }}.as_of
{%- endif %}
order by relevant.cut, relevant.item_id
