-- One row per interaction of some pairs of each rule: those with the smallest md5 of their key, the same every time.
with keyed as (
    select
        *,
        concat_ws('|', user_id, item_id, cut, nullif(impression_id, '')) as pair_key
    from labels
    where cut in ({{ literals(cuts) }})
),

chosen as (
    select
        rule,
        user_id,
        item_id,
        cut,
        row_number() over (partition by rule order by md5(pair_key), pair_key) as place
    from keyed
    qualify place <= {{ number }}
)

select
    chosen.rule,
    chosen.place,
    chosen.user_id,
    chosen.item_id,
    chosen.cut,
    interactions.kind,
    interactions.value,
    interactions.occurred_at,
    cast(interactions.occurred_at as date) > chosen.cut as ahead
from chosen
inner join interactions
    on chosen.user_id = interactions.user_id
    and chosen.item_id = interactions.item_id
    and cast(interactions.occurred_at as date) > chosen.cut - {{ back }}
    and cast(interactions.occurred_at as date) <= chosen.cut + {{ horizon }}
    and interactions.ds
    <= chosen.cut + case when cast(interactions.occurred_at as date) > chosen.cut then {{ lag }} else 0 end
order by chosen.rule, chosen.place, interactions.occurred_at, interactions.interaction_id, interactions.ds
