-- One row per (feature, value): a text that some user, item or request has as of one of the days.
{%- for feature in features %}
select distinct
    {{ literal(feature.name) }} as feature,
    {{ identifier(feature.attribute.name) }} as value
{%- if feature.attribute.entity == "request" %}
from candidates
where cut in ({{ literals(days) }})
{%- else %}
from {{ feature.attribute.relation }}
where as_of in ({{ literals(days) }})
{%- endif %}
    and {{ identifier(feature.attribute.name) }} is not null
{{ "union all" if not loop.last }}
{%- endfor %}
