-- One row per impression of the day after a cut, as known when its labels are complete, with its request's attributes.
-- Those are what the first impression of the request has, since a request is served with one context.
select
    impressions.impression_id as example_id,
    -- A request id is its user's: sessions and devices of several users may have the same.
    impressions.request_id || '@' || impressions.user_id as group_id,
    impressions.user_id,
    impressions.item_id,
    {{ literal(cut) }} as cut,
    cast(impressions.position as integer) as position,
    impressions.propensity{% if policy %},
    impressions.policy{% endif %}{% for name in attributes %},
    first_value(request_attributes.{{ identifier(name) }}) over request as {{ identifier(name) }}{% endfor %}
from impressions
left join request_attributes
    on impressions.impression_id = request_attributes.impression_id and impressions.ds = request_attributes.ds
where impressions.shown_at >= {{ literal(first) }} and impressions.shown_at < {{ literal(last) }}
    and impressions.ds <= {{ literal(complete) }}
window
    request as (
        partition by impressions.user_id, impressions.request_id
        order by impressions.position, impressions.impression_id
    )
order by impressions.user_id, impressions.request_id, impressions.item_id, impressions.impression_id
