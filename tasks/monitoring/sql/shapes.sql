-- One row per feature and value that matters: the farthest apart, the medians, the ends of the reference's deciles.
-- A NULL or NaN is one value, above every number.
with cells as (
    {%- for name in columns %}
    select
        {{ loop.index0 }} as feature,
        coalesce({{ identifier(name) }}::double, 'nan'::double) as value,
        coalesce(sum(weight) filter (where side = {{ reference }}), 0) as p,
        coalesce(sum(weight) filter (where side = {{ current }}), 0) as q
    from compared
    group by value
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

curve as (
    select
        feature,
        value,
        sum(p) over upto / sum(p) over whole as p,
        sum(q) over upto / sum(q) over whole as q
    from cells
    window whole as (partition by feature), upto as (partition by feature order by value)
),

steps as (
    select
        *,
        max(abs(p - q)) over whole as widest,
        lag(p, 1, 0) over upto as p_before,
        lag(q, 1, 0) over upto as q_before
    from curve
    window whole as (partition by feature), upto as (partition by feature order by value)
),

marked as (
    select
        feature,
        value,
        p,
        q,
        abs(p - q) = widest as farthest,
        p_before < 0.5 and p >= 0.5 as p_median,
        q_before < 0.5 and q >= 0.5 as q_median,
        -- 1e-9: a sum of shares may end a hair below the decile that it reaches
        floor({{ bins }} * p + 1e-9) > floor({{ bins }} * p_before + 1e-9) as decile
    from steps
)

select
    feature,
    value,
    p,
    q,
    farthest,
    p_median,
    q_median,
    decile
from marked
where farthest or p_median or q_median or decile
order by feature, value
