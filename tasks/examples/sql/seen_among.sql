-- One row per (user_id, item_id, cut) of a relation whose user had an interaction of any kind with the item up to the
-- cut, as known by then; where `within_days` is given, both within so many days up to it.
select distinct
    pairs.user_id,
    pairs.item_id,
    pairs.cut
from {{ pairs }} as pairs
inner join interactions
    on pairs.user_id = interactions.user_id
    and pairs.item_id = interactions.item_id
    and pairs.cut >= interactions.ds
    and pairs.cut >= cast(interactions.occurred_at as date){% if within_days %}
    and pairs.cut < interactions.ds + {{ within_days }}
    and pairs.cut < cast(interactions.occurred_at as date) + {{ within_days }}{% endif %}
where pairs.cut in ({{ literals(cuts) }})
