-- One row per (group_id, cut): a list of candidates with its best and worst grade and its user's attributes.
select
    candidates.group_id,
    candidates.cut,
    min(candidates.user_id) as user_id,
    max(coalesce(labels.grade, 0)) as best,
    min(coalesce(labels.grade, 0)) as worst{% for name in attributes %},
    coalesce(min(feat_users.{{ identifier(name) }}), {{ literal(unknown) }}) as {{ identifier(name) }}{% endfor %}
from candidates
left join labels
    on candidates.user_id = labels.user_id and candidates.item_id = labels.item_id
    and candidates.cut = labels.cut{% if attributed %}
    and candidates.example_id = labels.impression_id{% endif %}
left join feat_users
    on candidates.user_id = feat_users.user_id and candidates.cut = feat_users.as_of
group by candidates.group_id, candidates.cut
