-- One row per population: how many of the groups to train on are its users'.
select
    groups.{{ identifier(attribute) }} as population,
    count(*) as drawn
from groups
inner join fit
    on groups.group_id = fit.group_id and groups.cut = fit.cut
group by groups.{{ identifier(attribute) }}
order by population
