-- One row per candidate of a drawn group that is trained on: every positive, and the list's first negatives.
-- `correction` undoes the choice for a loss over single examples: one over the probability of being kept.
with graded as (
    select
        candidates.example_id,
        candidates.group_id,
        candidates.cut,
        candidates.item_id,
        coalesce(labels.grade, 0) > 0 as positive,
        {{ pull }} as pull{% for name in scores %},
        -- What a retriever has no score for has no place of it; `least` passes over that.
        case when candidates.{{ identifier(name) }} is not null then rank() over (
                    partition by candidates.group_id, candidates.cut
                    order by candidates.{{ identifier(name) }} desc nulls last
                )
        end as place_{{ loop.index }}{% endfor %}
    from candidates
    inner join {{ drawn }} as drawn
        on candidates.group_id = drawn.group_id and candidates.cut = drawn.cut
    left join labels
        on candidates.user_id = labels.user_id and candidates.item_id = labels.item_id
        and candidates.cut = labels.cut{% if attributed %}
        and candidates.example_id = labels.impression_id{% endif %}{% if popular %}
    left join feat_items
        on candidates.item_id = feat_items.item_id and candidates.cut = feat_items.as_of{% endif %}
    where candidates.cut in ({{ literals(cuts) }})
),

placed as (
    select
        *,
        {{ per_positive }} * count(*) filter (where positive) over lists as wanted,
        count(*) filter (where not positive) over lists as negatives,
        sum(case when positive then 0 else pull end) over lists as all_pulls,
        row_number() over (
            partition by group_id, cut, positive
            order by {{ place }} nulls last, item_id, example_id
        ) as place
    from graded
    window lists as (partition by group_id, cut)
)

select
    example_id,
    group_id,
    cut,
    case
        when positive or wanted >= negatives or {{ hard }} then 1.0
        else greatest(1.0, all_pulls / (wanted * cast(pull as double)))
    end as correction
from placed
where positive or place <= wanted
