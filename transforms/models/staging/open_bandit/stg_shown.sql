{{ config(materialized='table') }}

-- Both logs, a row per impression: a click is a column of it. The sample keeps single impressions of lists of three, so
-- that a list is made of what one policy showed a user within an hour; of what was shown again, there is another one.
{%- set features = ['user_feature_0', 'user_feature_1', 'user_feature_2', 'user_feature_3'] %}
{%- set columns = ['log_id', 'shown_at', 'item_id', 'position', 'click', 'propensity'] + features %}

{% for policy in ['random', 'bts'] %}
(
    with {% call ruled(policy, columns, id='log_id', ids=['item_id']) %}
        case
            when log_id is null or item_id is null then 'missing_id'
            when {{ features | join(' is null or ') }} is null then 'missing_user'
            when shown_at is null then 'missing_time'
            when cast(shown_at as date) > ds then 'occurred_after_known'
            when position is null or position not between 1 and 3 then 'impossible_position'
            when propensity is null or not (propensity > 0 and propensity <= 1) then 'impossible_propensity'
            when click is null or click not in (0, 1) then 'impossible_click'
        end
    {% endcall %},

    numbered as (
        select
            *,
            row_number() over (
                partition by ds, rule, {{ features | join(', ') }}, date_trunc('hour', shown_at), item_id
                order by shown_at, log_id
            ) as showing
        from ruled
    )

    select
        ---------- ids: nobody's name is logged, so that a user is everybody of whom the same is
        '{{ policy }}/' || log_id as impression_id,
        '{{ policy }}/' || cast(date_trunc('hour', shown_at) as varchar) || '/' || cast(showing as varchar)
            as request_id,
        {{ features | join(" || '/' || ") }} as user_id,
        item_id,

        ---------- what
        position,
        '{{ policy }}' as policy,
        propensity,
        click,

        ---------- about the request
        {{ features | join(', ') }},

        ---------- when
        shown_at,
        ds,

        ---------- verdict
        rule,
        {{ rejected_row(columns) }} as "row"
    from numbered
)
{{ 'union all' if not loop.last }}
{% endfor %}
