-- One row per relevant item of a judged user at a snapshot cut: what retrieval missed counts, too.
select
    labels.user_id || '@' || labels.cut as group_id,
    labels.user_id,
    labels.cut,
    labels.item_id,
    labels.grade{% for name in attributes %},
    coalesce(feat_users.{{ identifier(name) }}, {{ literal(unknown) }}) as {{ identifier(name) }}{% endfor %}
from labels
inner join feat_users
    on labels.user_id = feat_users.user_id and labels.cut = feat_users.as_of and feat_users.user_actions_365d > 0
inner join feat_items
    on labels.item_id = feat_items.item_id and labels.cut = feat_items.as_of
where labels.grade > 0 and labels.cut in ({{ literals(cuts) }})
order by labels.cut, group_id, labels.item_id
