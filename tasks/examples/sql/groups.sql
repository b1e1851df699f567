-- One row per (group_id, cut): a list of candidates with its best and worst grade and its attributes, as texts, and
-- the hash that every draw orders groups by.
{%- if declared or item_marts %}
with points as not materialized (
    select distinct
        user_id,{% if item_marts %}
        item_id,{% endif %}
        cut as as_of
    from candidates
)
{% endif %}
select
    candidates.group_id,
    candidates.cut,
    {{ group_hash }} as group_hash,
    min(candidates.user_id) as user_id,
    max(coalesce(labels.grade, 0)) as best,
    min(coalesce(labels.grade, 0)) as worst{% for text in texts %},
    coalesce(min({{ text.expression }}), {{ literal(unknown) }}) as {{ identifier(text.name) }}{% endfor %}
    {%- for text in of_items %},
    -- Of the item with the highest grade, the first by its id of several.
    coalesce(
        first({{ text.expression }} order by coalesce(labels.grade, 0) desc, candidates.item_id),
        {{ literal(unknown) }}
    ) as {{ identifier(text.name) }}{% endfor %}
from candidates
left join labels
    on candidates.user_id = labels.user_id and candidates.item_id = labels.item_id
    and candidates.cut = labels.cut{% if attributed %}
    and candidates.example_id = labels.impression_id{% endif %}
left join feat_users
    on candidates.user_id = feat_users.user_id and candidates.cut = feat_users.as_of
{%- if declared %}
left join {{ declared }} as feat_user_attributes
    on candidates.user_id = feat_user_attributes.user_id and candidates.cut = feat_user_attributes.as_of
{%- endif %}{% for part in item_marts %}
left join {{ part.rows }} as {{ part.name }}
    on candidates.item_id = {{ part.name }}.item_id and candidates.cut = {{ part.name }}.as_of{% endfor %}
group by candidates.group_id, candidates.cut
