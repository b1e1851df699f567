{{ config(materialized='table') }}

with {% call ruled('people', id='user_id', ids=['user_id']) %}
    case
        when user_id is null then 'missing_id'
        when age not between 1 and 120 then 'impossible_age'
        when gender not in ('F', 'M') then 'unknown_gender'
    end
{% endcall %}

select
    ---------- ids
    user_id,

    ---------- what
    '*' as region,
    '*' as plan,
    age,
    case
        when age < 18 then 'under 18'
        when age < 25 then '18-24'
        when age < 35 then '25-34'
        when age < 45 then '35-44'
        when age < 55 then '45-54'
        when age >= 55 then '55 or more'
    end as age_band,
    gender,
    occupation,
    occupation = 'student' as student,

    ---------- when: nobody knows when they joined
    cast(ds as timestamp) as joined_at,
    cast(ds as timestamp) as observed_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row('people') }} as "row"
from ruled
