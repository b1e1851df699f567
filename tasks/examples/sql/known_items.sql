-- One row per item known as of a cut, with its features.
select * exclude (as_of)
from feat_items
where as_of = {{ literal(cut) }}
order by item_id
