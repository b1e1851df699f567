{#- Features of pairs as of days: aggregates of the daily rows that are in the 365 days up to as_of and were known
    by then, computed when they are asked for. There are far more pairs with a past than pairs that anybody
    ranks, so they are not kept (docs/adr/0013).

    points  none: every pair of every user and day of feat_users, which is what the view is;
            else a table function's parameter naming a table (user_id, item_id, as_of): those alone, each once
            however often it is named. A day that feat_users does not have gives no row. -#}
{% macro user_item_features(points=none) %}
    with asked as (
        {%- if points %}
        select user_id, item_id, as_of from {{ given_table(points) }}
        {%- else %}
        select user_id, as_of from {{ in_this_database(ref('feat_users')) }}
        {%- endif %}
    ),

    {# What is named twice is joined twice: DISTINCT after the join has far fewer rows to look at than before. #}
    known as (
        select {{ 'distinct' if points }}
            asked.user_id,
            daily.item_id,
            asked.as_of,
            daily.day,
            daily.ds,
            daily.actions,
            daily.quantity,
            daily.saves,
            daily.undos,
            daily.impressions,
            daily.unclicked
        from asked
        inner join {{ in_this_database(ref('int_user_item_daily')) }} as daily
            on asked.user_id = daily.user_id {{ 'and asked.item_id = daily.item_id' if points }}
            and daily.ds <= asked.as_of and daily.day > {{ plus_days('asked.as_of', -365) }}
        where daily.actions > 0 or daily.undos > 0
            or ({{ plus_days('daily.day', 28) }} > asked.as_of and (daily.saves > 0 or daily.impressions > 0))
    ),

    past as (
        select
            user_id,
            item_id,
            as_of,
            {{ sum_within('actions', [7, 28, 90, 365]) }},
            {{ sum_within('quantity', [365]) }},
            {{ sum_within('saves', [28]) }},
            {{ sum_within('undos', [365]) }},
            {{ sum_within('impressions', [7, 28]) }},
            {{ sum_within('unclicked', [28]) }},
            cast(count(distinct case when actions > 0 then day end) as double) as active_days_365d,
            max(case when actions > 0 then day end) as last_action_day,
            min(case when actions > 0 then day end) as first_action_day
        from known
        group by user_id, item_id, as_of
    ),

    joined as (
        {{ with_user_features('past', ['user_actions_365d', 'user_days_since_action']) }}
    )

    select
        user_id,
        item_id,
        as_of,
        {{ as_features('user_item', [
            'actions_7d', 'actions_28d', 'actions_90d', 'actions_365d', 'active_days_365d',
            'quantity_365d', 'saves_28d', 'undos_365d', 'impressions_7d', 'impressions_28d',
            'unclicked_28d'
        ]) }},
        cast({{ days_since('last_action_day') }} as float) as user_item_days_since_action,
        cast({{ days_since('first_action_day') }} as float) as user_item_days_since_first_action,
        cast(
            case
                when active_days_365d > 1
                    then {{ days_between('first_action_day', 'last_action_day') }} / (active_days_365d - 1)
                else 366
            end as float
        ) as user_item_mean_gap,
        cast(
            case
                when actions_365d > 0
                    then actions_365d / cast(user_actions_365d as double)
                else 0
            end as float
        ) as user_item_action_share_365d,
        cast(
            coalesce({{ days_between('last_action_day', 'as_of') }} - user_days_since_action, 366) as float
        ) as user_item_days_before_last,
        cast(
            case
                when active_days_365d > 1
                    then {{ days_between('last_action_day', 'as_of') }} * (active_days_365d - 1)
                        / greatest({{ days_between('first_action_day', 'last_action_day') }}, 1)
                else 0
            end as float
        ) as user_item_due
    from joined
{%- endmacro %}
