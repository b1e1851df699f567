-- One row per (user_id, value) of a list: actions of the year up to a day on items that have the value.
select
    user_id,
    value,
    actions
from feat_user_values
where as_of = {{ literal(day) }} and attribute = {{ literal(attribute) }}
order by user_id, value
