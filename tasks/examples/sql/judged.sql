-- One row per (group_id, cut) of a held-out window that has something to find; all of them count the same.
select distinct
    group_id,
    cut,
    cast(1.0 as double) as weight
{%- if snapshots %}
from truth
{%- else %}
from groups
where best > 0 and cut in ({{ literals(cuts) }})
{%- endif %}
