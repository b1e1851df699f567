-- One row per text of matched rules ('' where a pair has no label): how many pairs or candidates have it.
select
    coalesce(labels.holds, '') as matched,
    count(*) as pairs
{%- if of_candidates %}
from candidates
left join labels
    on candidates.user_id = labels.user_id and candidates.item_id = labels.item_id
    and candidates.cut = labels.cut{% if attributed %}
    and candidates.example_id = labels.impression_id{% endif %}
where candidates.cut in ({{ literals(cuts) }})
{%- else %}
from labels
where labels.cut in ({{ literals(cuts) }})
{%- endif %}
group by matched
