-- One row of `compared` stays one row: its weight times the ratio of its weekday's shares on the two sides.
update compared set weight = round(weight * factor)
from (
    select
        isodow(cut) as weekday,
        coalesce(sum(weight) filter (where side = {{ current }}), 0)
        / sum(weight) filter (where side = {{ reference }}) as factor
    from compared
    group by weekday
) as days
where side = {{ reference }} and isodow(cut) = days.weekday
