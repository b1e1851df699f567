{#- Features of users and categories as of days; `points` as in user_item_features. -#}
{% macro user_category_features(points=none) %}
    with asked as (
        {%- if points %}
        select distinct user_id, as_of from {{ given_table(points) }}
        {%- else %}
        select user_id, as_of from {{ in_this_database(ref('feat_users')) }}
        {%- endif %}
    ),

    pairs as (
        select
            asked.user_id,
            daily.item_id,
            asked.as_of,
            {{ sum_within('actions', [28, 365]) }},
            max(daily.day) as last_action_day
        from asked
        inner join {{ in_this_database(ref('int_user_item_daily')) }} as daily
            on asked.user_id = daily.user_id
            and daily.ds <= asked.as_of and daily.day > {{ plus_days('asked.as_of', -365) }}
        where daily.actions > 0
        group by asked.user_id, daily.item_id, asked.as_of
    ),

    totals as (
        select
            pairs.user_id,
            items.category,
            pairs.as_of,
            cast(sum(pairs.actions_28d) as double) as actions_28d,
            cast(sum(pairs.actions_365d) as double) as actions_365d,
            max(pairs.last_action_day) as last_action_day
        from pairs
        inner join {{ in_this_database(ref('feat_items')) }} as items
            on pairs.item_id = items.item_id and pairs.as_of = items.as_of
        group by pairs.user_id, items.category, pairs.as_of
    ),

    joined as (
        {{ with_user_features('totals', ['user_actions_28d', 'user_actions_365d']) }}
    )

    select
        user_id,
        category,
        as_of,
        {{ as_features('user_category', ['actions_28d', 'actions_365d']) }},
        cast(actions_28d / greatest(user_actions_28d, 1) as float) as user_category_share_28d,
        cast(actions_365d / user_actions_365d as float) as user_category_share_365d,
        cast({{ days_since('last_action_day') }} as float) as user_category_days_since_action
    from joined
{%- endmacro %}
