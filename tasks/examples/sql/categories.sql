-- One row per (feature, value): a text that some user, item or request has as of one of the days.
{%- for text in texts %}
select distinct
    {{ literal(text.name) }} as feature,
    {{ text.expression }} as value
from {{ text.relation }}
where {{ "cut" if text.relation == "candidates" else "as_of" }} in ({{ literals(days) }})
    and {{ text.expression }} is not null
{{ "union all" if not loop.last }}
{%- endfor %}
