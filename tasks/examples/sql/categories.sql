-- One row per (feature, value): a text that some user, item or request has as of one of the days.
{%- for feature in features %}
{%- set relation = "candidates" if feature.attribute.entity == "request" else feature.attribute.relation %}
select distinct
    {{ literal(feature.name) }} as feature,
    {{ feature.attribute.sql(relation) }} as value
from {{ relation }}
where {{ "cut" if relation == "candidates" else "as_of" }} in ({{ literals(days) }})
    and {{ feature.attribute.sql(relation) }} is not null
{{ "union all" if not loop.last }}
{%- endfor %}
