-- One row per user and item that is relevant to them after a cut, among users with a past: what retrieval is to find.
select
    labels.user_id,
    labels.item_id,
    max(labels.grade) as grade
from labels
inner join feat_users
    on labels.user_id = feat_users.user_id and labels.cut = feat_users.as_of and feat_users.user_actions_365d > 0
where labels.grade > 0 and labels.cut = {{ literal(cut) }}
group by labels.user_id, labels.item_id
order by labels.user_id, labels.item_id
