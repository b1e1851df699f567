-- One row per (user_id, item_id, day) with something to learn from in the year up to a cut, as known by then: the sum
-- of the weights of what its user did. Summed in whole parts of 1, which have one sum whatever their order.
select
    user_id,
    item_id,
    cast({{ literal(cut) }} - day as integer) as age,
    cast(sum(parts) as double) / {{ parts_of_1 }} as actions
from ({{ weighted }}) as weighted
where parts > 0
group by user_id, item_id, day
order by user_id, item_id, day
