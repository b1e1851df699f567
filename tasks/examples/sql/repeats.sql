-- One row: the relevant pairs of some cuts, and those of them that were seen before.
select
    count(*) as relevant,
    count(seen_labels.user_id) as repeated
from labels
left join seen_labels
    on labels.user_id = seen_labels.user_id and labels.item_id = seen_labels.item_id and labels.cut = seen_labels.cut
where labels.grade > 0 and labels.cut in ({{ literals(cuts) }})
