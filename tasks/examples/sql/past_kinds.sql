-- One row per kind with an interaction in the year up to a cut, as known by then: how many, how many of them count, and
-- their largest value.
select
    kind,
    count(*) as happened,
    sum(
        case{% for kind in kinds %}
            when kind = {{ literal(kind.name) }} and value >= {{ kind.least }} then 1{% endfor %}
            else 0
        end
    ) as counted,
    max(value) as largest
from interactions
where
    ds <= {{ literal(cut) }}
    and cast(occurred_at as date) <= {{ literal(cut) }}
    and cast(occurred_at as date) > {{ literal(first) }}
group by kind
order by kind
