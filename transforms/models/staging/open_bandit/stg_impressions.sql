{{ config(materialized='ephemeral') }}

select
    ---------- ids
    impression_id,
    request_id,
    user_id,
    item_id,

    ---------- what
    position,
    policy,
    propensity,

    ---------- about the request
    policy as shown_by,
    cast(extract(hour from shown_at) as integer) as hour,
    user_feature_0,
    user_feature_1,
    user_feature_2,
    user_feature_3,

    ---------- when: an impression is known at once
    shown_at,
    shown_at as known_at,
    ds,

    ---------- verdict
    rule
from {{ ref('stg_shown') }}
