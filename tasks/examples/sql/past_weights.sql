-- One row per (user_id, item_id, day) with something to learn from in the year up to a cut, as known by then: the sum
-- of the weights of what its user did. Summed in whole parts of 1, which have one sum whatever their order.
with weighted as (
    select
        user_id,
        item_id,
        cast(occurred_at as date) as day,
        case{% for kind in kinds %}
            when kind = {{ literal(kind.name) }} and value >= {{ kind.least }} then {{ kind.parts }}{% endfor %}
            else 0
        end as parts
    from interactions
    where
        ds <= {{ literal(cut) }}
        and cast(occurred_at as date) <= {{ literal(cut) }}
        and cast(occurred_at as date) > {{ literal(first) }}
)

select
    user_id,
    item_id,
    cast({{ literal(cut) }} - day as integer) as age,
    cast(sum(parts) as double) / {{ parts_of_1 }} as actions
from weighted
where parts > 0
group by user_id, item_id, day
order by user_id, item_id, day
