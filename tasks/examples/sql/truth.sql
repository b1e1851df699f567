-- One row per relevant item of a judged user at a snapshot cut: what retrieval missed counts, too. What the rule for
-- seen items forbids in a list is nothing that a list could have found.
{%- if declared %}
with points as not materialized (
    select distinct
        user_id,
        cut as as_of
    from labels
    where cut in ({{ literals(cuts) }})
)
{% endif %}
select
    labels.user_id || '@' || labels.cut as group_id,
    labels.user_id,
    labels.cut,
    labels.item_id,
    labels.grade{% for text in texts %},
    coalesce({{ text.expression }}, {{ literal(unknown) }}) as {{ identifier(text.name) }}{% endfor %},
    seen_labels.user_id is not null as seen
from labels
inner join feat_users
    on labels.user_id = feat_users.user_id and labels.cut = feat_users.as_of and feat_users.user_actions_365d > 0
inner join feat_items
    on labels.item_id = feat_items.item_id and labels.cut = feat_items.as_of
left join seen_labels
    on labels.user_id = seen_labels.user_id and labels.item_id = seen_labels.item_id and labels.cut = seen_labels.cut
{%- if declared %}
left join {{ declared }} as feat_user_attributes
    on labels.user_id = feat_user_attributes.user_id and labels.cut = feat_user_attributes.as_of
{%- endif %}
where
    labels.grade > 0
    and labels.cut in ({{ literals(cuts) }}){% if rule != 'keep' %}
    and (seen_labels.user_id is not null) = {{ rule == 'only' }}{% endif %}
order by labels.cut, group_id, labels.item_id
