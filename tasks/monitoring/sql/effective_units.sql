-- One row per side: rows, units (users, items or lists), and Kish's effective number of units.
select
    side,
    sum(rows) as rows,
    count(*) as units,
    sum(weight) * sum(weight) / sum(weight * weight) as effective
from (
    select
        side,
        count(*) as rows,
        sum(weight) as weight
    from compared
    group by side, {{ identifier(unit) }}
)
group by side
