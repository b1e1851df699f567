-- Of each row of a day, the last earlier day that brought a row with the same key; null keys are equal to none.
select
    arrived._row,
    max(earlier.ds) as sent_before
from arrived
left join earlier
    on true{% for name in key %}
    and arrived.{{ identifier(name) }} = earlier.{{ identifier(name) }}{% endfor %}
group by arrived._row
order by arrived._row
