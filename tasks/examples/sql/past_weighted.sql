-- One row per interaction of the year up to a cut, as known by then, with its weight for retrieval in whole parts of 1.
select
    user_id,
    item_id,
    kind,
    cast(occurred_at as date) as day,
    value,
    case{% for kind in kinds %}
        when kind = {{ literal(kind.name) }} and value >= {{ kind.least }} then {{ kind.parts }}{% endfor %}
        else 0
    end as parts
from interactions
where
    ds <= {{ literal(cut) }}
    and cast(occurred_at as date) <= {{ literal(cut) }}
    and cast(occurred_at as date) > {{ literal(first) }}
