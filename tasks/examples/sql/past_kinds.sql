-- One row per kind with an interaction in the year up to a cut, as known by then: how many, how many of them count, and
-- their largest value.
select
    kind,
    count(*) as happened,
    sum(case when parts > 0 then 1 else 0 end) as counted,
    max(value) as largest
from ({{ weighted }}) as weighted
group by kind
order by kind
