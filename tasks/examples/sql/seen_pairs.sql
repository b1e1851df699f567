-- One row per user and item with an interaction of any kind up to a cut, as known by then.
select distinct
    user_id,
    item_id
from interactions
where ds <= {{ literal(cut) }} and cast(occurred_at as date) <= {{ literal(cut) }}
order by user_id, item_id
