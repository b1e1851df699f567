-- One row per stratum: how many groups of some cuts it has that hold something relevant.
select
    {%- for name in strata %}
    {{ identifier(name) }},
    {%- endfor %}
    count(*) as available
from groups
where best > 0 and cut in ({{ literals(cuts) }})
group by all
order by all
