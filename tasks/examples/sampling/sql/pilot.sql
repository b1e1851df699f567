-- One row per candidate of a pilot group: the group's stratum, the grade, and how popular the item is as of the cut.
-- That is the order which every pipeline has before there is a model.
select
    {%- for name in strata %}
    lists.{{ identifier(name) }},
    {%- endfor %}
    candidates.group_id,
    coalesce(labels.grade, 0) as grade,
    coalesce(feat_items.item_actions_28d, 0) as popularity
from pilot
inner join groups as lists
    on pilot.group_id = lists.group_id and pilot.cut = lists.cut
inner join candidates
    on pilot.group_id = candidates.group_id and pilot.cut = candidates.cut
left join labels
    on candidates.user_id = labels.user_id and candidates.item_id = labels.item_id
    and candidates.cut = labels.cut{% if attributed %}
    and candidates.example_id = labels.impression_id{% endif %}
left join feat_items
    on candidates.item_id = feat_items.item_id and candidates.cut = feat_items.as_of
order by candidates.cut, candidates.group_id, candidates.item_id, candidates.example_id
