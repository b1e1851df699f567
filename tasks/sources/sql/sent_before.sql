-- Of each row, the last earlier day that brought a row with the same key; null keys are equal to none.
select
    rows._row,
    max(earlier.ds) as sent_before
from rows
left join earlier
    on {% for name in key %}rows.{{ identifier(name) }} = earlier.{{ identifier(name) }}{{ ' and ' if not loop.last }}{% endfor %}
group by rows._row
order by rows._row
