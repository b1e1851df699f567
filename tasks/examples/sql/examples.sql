-- One row per candidate of a drawn group at some cuts: its grade, its attributes and its features as of the cut.
-- Groups are drawn first and joined with their features afterwards, so that nothing is computed for rows not used.
with chosen as not materialized (
    select
        candidates.*,
        drawn.weight
    from candidates
    inner join {{ drawn }} as drawn
        on candidates.group_id = drawn.group_id and candidates.cut = drawn.cut
    where candidates.cut in ({{ literals(cuts) }})
),

points as not materialized (
    select
        user_id,
        item_id,
        cut as as_of
    from chosen
)

select
    chosen.example_id,
    chosen.group_id,
    chosen.user_id,
    chosen.item_id,
    chosen.cut,
    cast(coalesce(labels.grade, 0) as tinyint) as grade,
    chosen.position,
    chosen.propensity,{% if policy %}
    chosen.policy,{% endif %}
    {%- for name in attributes %}
    groups.{{ identifier(name) }},
    {%- endfor %}
    chosen.weight{% if trained %},
    {{ trained }}.example_id is not null as trained,
    coalesce({{ trained }}.correction, 0.0) as correction{% endif %}{% if seen %},
    {{ seen }}.user_id is not null as seen{% endif %}{% for value in values %},
    cast({{ value.expression }} as float) as {{ identifier(value.name) }}{% endfor %}
from chosen
inner join groups
    on chosen.group_id = groups.group_id and chosen.cut = groups.cut
left join labels
    on chosen.user_id = labels.user_id and chosen.item_id = labels.item_id
    and chosen.cut = labels.cut{% if attributed %}
    and chosen.example_id = labels.impression_id{% endif %}{% if trained %}
left join {{ trained }}
    on chosen.example_id = {{ trained }}.example_id and chosen.group_id = {{ trained }}.group_id
    and chosen.cut = {{ trained }}.cut{% endif %}{% if seen %}
left join {{ seen }}
    on chosen.user_id = {{ seen }}.user_id and chosen.item_id = {{ seen }}.item_id
    and chosen.cut = {{ seen }}.cut{% endif %}{% for part in joined %}
left join {{ part.rows }} as {{ part.name }}
    on {{ part.condition }}{% endfor %}
order by chosen.cut, chosen.group_id, chosen.item_id, chosen.example_id
