-- One row per (user_id, item_id, day) with actions in the year up to a cut, as known by then.
select
    user_id,
    item_id,
    cast({{ literal(cut) }} - day as integer) as age,
    cast(sum(actions) as double) as actions
from int_user_item_daily
where ds <= {{ literal(cut) }} and day <= {{ literal(cut) }} and day > {{ literal(first) }} and actions > 0
group by user_id, item_id, day
order by user_id, item_id, day
