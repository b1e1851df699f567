{#- Features of users and categories as of days; `points` as in user_item_features. -#}
{% macro user_category_features(points=none) %}
    with asked as {{ materialized() if points }} (
        select {{ 'distinct' if points }}
            users.user_id,
            users.as_of,
            users.user_actions_28d,
            users.user_actions_365d
        from {{ in_this_database(ref('feat_users')) }} as users
        {%- if points %}
        inner join {{ given_table(points) }} as points
            on users.user_id = points.user_id and users.as_of = points.as_of
        {%- endif %}
    ),

    pairs as (
        select
            asked.user_id,
            daily.item_id,
            asked.as_of,
            asked.user_actions_28d,
            asked.user_actions_365d,
            {{ sum_within('actions', [28, 365]) }},
            max(daily.day) as last_action_day
        from asked
        inner join {{ in_this_database(ref('int_user_item_daily')) }} as daily
            on asked.user_id = daily.user_id
            and daily.ds <= asked.as_of and {{ plus_days('daily.day', 365) }} > asked.as_of
        where daily.actions > 0
        group by asked.user_id, daily.item_id, asked.as_of, asked.user_actions_28d, asked.user_actions_365d
    ),

    totals as (
        select
            pairs.user_id,
            items.category,
            pairs.as_of,
            pairs.user_actions_28d,
            pairs.user_actions_365d,
            cast(sum(pairs.actions_28d) as double) as actions_28d,
            cast(sum(pairs.actions_365d) as double) as actions_365d,
            max(pairs.last_action_day) as last_action_day
        from pairs
        inner join {{ in_this_database(ref('feat_items')) }} as items
            on pairs.item_id = items.item_id and pairs.as_of = items.as_of
        group by pairs.user_id, items.category, pairs.as_of, pairs.user_actions_28d, pairs.user_actions_365d
    )

    select
        user_id,
        category,
        as_of,
        cast(actions_28d as float) as user_category_actions_28d,
        cast(actions_365d as float) as user_category_actions_365d,
        cast(actions_28d / greatest(user_actions_28d, 1) as float) as user_category_share_28d,
        cast(actions_365d / user_actions_365d as float) as user_category_share_365d,
        cast({{ days_since('last_action_day') }} as float) as user_category_days_since_action
    from totals
{%- endmacro %}
