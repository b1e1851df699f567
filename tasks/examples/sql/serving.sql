-- One row per key of a mart as of a day: the features that a version serves.
select {{ columns | join(", ") }}
from {{ mart }}
{%- if declared %}
left join {{ declared }} on {{ condition }}
{%- endif %}
where {{ mart }}.as_of = {{ literal(day) }}
order by{% for key in keys %} {{ mart }}.{{ key }}{{ "," if not loop.last }}{% endfor %}
