-- One row per (group_id, cut) that is drawn, with the weight N/n that undoes the sampling of its stratum.
-- Groups without a single positive teach a ranking loss nothing, and are not drawn. The place orders the groups of a
-- stratum: the same groups for any thread count, file order and day of building, and a small draw is part of a large.
-- Only groups below their stratum's `bound` are put in order: whoever asks checks that there were enough of them.
select
    lists.group_id,
    lists.cut,
    sizes.available / cast(sizes.size as double) as weight
from groups as lists
inner join {{ sizes }} as sizes
    on true{% for name in strata %}
    and lists.{{ identifier(name) }} = sizes.{{ identifier(name) }}{% endfor %}
where
    lists.best > 0 and lists.cut in ({{ literals(cuts) }}) and sizes.size > 0
    and {{ place }} < sizes.bound
qualify
    row_number() over (
        partition by
            true{% for name in strata %},
            lists.{{ identifier(name) }}{% endfor %}
        order by
            {{ place }},
            lists.group_id,
            lists.cut
    ) <= sizes.size
