{{ config(materialized='table') }}

{#- A column of 0 or 1 for each genre, with its name. -#}
{%- set genres = {
    'action': 'Action',
    'adventure': 'Adventure',
    'animation': 'Animation',
    'childrens': 'Children',
    'comedy': 'Comedy',
    'crime': 'Crime',
    'documentary': 'Documentary',
    'drama': 'Drama',
    'fantasy': 'Fantasy',
    'film_noir': 'Film-Noir',
    'horror': 'Horror',
    'musical': 'Musical',
    'mystery': 'Mystery',
    'romance': 'Romance',
    'sci_fi': 'Sci-Fi',
    'thriller': 'Thriller',
    'war': 'War',
    'western': 'Western',
} %}
with {% call ruled('films', id='item_id', ids=['item_id']) %}
    case
        when item_id is null then 'missing_id'
    end
{% endcall %},

named as (
    select
        *,
        concat_ws(
            '|'
            {%- for column, name in genres.items() %},
            case when {{ column }} = 1 then '{{ name }}' end
            {%- endfor %}
        ) as genre_names
    from ruled
)

select
    ---------- ids
    item_id,

    ---------- what
    coalesce(title, item_id) as title,
    coalesce(nullif({{ split_part('genre_names', "'|'", 1) }}, ''), '*') as category,
    {{ split_texts("nullif(genre_names, '')", '|') }} as genres,
    cast(nullif(right(released, 4), '') as integer) as release_year,

    ---------- when: a film is on offer from the day its line landed
    cast(ds as timestamp) as available_at,
    cast(ds as timestamp) as observed_at,
    ds,

    ---------- verdict
    rule,
    {{ rejected_row('films') }} as "row"
from named
