-- One row per user who did something in the year up to a cut.
select user_id
from feat_users
where as_of = {{ literal(cut) }} and user_actions_365d > 0
order by user_id
