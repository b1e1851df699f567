-- Of each row of a day, in their order, the last earlier day that brought a row with the same key; null keys are equal
-- to none.
with recent as (
    select
        {%- for name in key %}
        {{ identifier(name) }},
        {%- endfor %}
        max(ds) as sent_before
    from earlier
    group by all
)

select recent.sent_before
from arrived
left join recent
    on true{% for name in key %}
    and arrived.{{ identifier(name) }} = recent.{{ identifier(name) }}{% endfor %}
order by arrived._row
