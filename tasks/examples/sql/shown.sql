-- One row per impression of the day after a cut, as known when its labels are complete.
select
    impression_id as example_id,
    -- A request id is its user's: sessions and devices of several users may have the same.
    request_id || '@' || user_id as group_id,
    user_id,
    item_id,
    {{ literal(cut) }} as cut,
    cast(position as integer) as position,
    propensity
from impressions
where shown_at >= {{ literal(first) }} and shown_at < {{ literal(last) }} and ds <= {{ literal(complete) }}
order by user_id, request_id, item_id, impression_id
