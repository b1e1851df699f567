"""What a text names, read without running it."""

from __future__ import annotations

import pytest

from tasks.runs.sql_templates import blocks_of, template_of


def test_what_a_model_names_is_found_wherever_it_stands() -> None:
    found = template_of(
        "{{ config(post_hook=\"{{ keep('x', totals('y')) }}\") }}\n"
        "{# not: {{ forgotten() }} #}\n"
        "{% call ruled('events', id=key(1)) %} a {% endcall %}\n"
        "select words() from {{ ref('stg_users') }} join {{ ref('matinee', \"items\") }} "
        "{{ matinee.last(this.first()) }}"
    )
    assert {"keep", "totals", "ruled", "key", "last"} <= found.names
    assert not {"forgotten", "words", "first"} & found.names
    assert found.refs == {"stg_users", "matinee", "items"}
    assert {"x", "y", "events"} <= found.texts
    assert (found.opaque, found.refs_a_variable, found.dispatches) == (False, False, False)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("{{ ref('x') }} {{ adapter.dispatch('y')() }}", {"dispatches"}),
        ("{{ ref(model) }}", {"refs_a_variable"}),
        ("{{ ref(package, model) }}", {"refs_a_variable"}),
        ("{{ ref('stg_' ~ model) }}", {"opaque"}),
        ("{{ ref(models[0]) }}", {"opaque"}),
        ("{{ ref(var('model')) }}", {"opaque"}),
        ("{{ adapter.dispatch(name)() }}", {"opaque", "dispatches"}),
        ("{{ context['a_macro']() }}", {"opaque"}),
        ("{% for node in graph.nodes.values() %}{% endfor %}", {"opaque"}),
        ("{% set everything = graph %}", {"opaque"}),
        ("{{ graph.sources.values() }}", set()),
        ("{{ var('rate', 2) }}", set()),
        ("{{ var(name, 2) }}", {"opaque"}),
        ('{{ config(x="{{ ref(a.b) }}") }}', {"opaque"}),
        ("{{ 'this ends nowhere", set()),  # dbt reads it no better
    ],
)
def test_names_that_are_made_while_dbt_runs_are_noticed(text: str, flags: set[str]) -> None:
    found = template_of(text)
    assert {flag for flag in ("dispatches", "refs_a_variable", "opaque") if getattr(found, flag)} == flags


def test_a_file_of_macros_is_taken_apart() -> None:
    text = (
        "{#- About the first. -#}\n"
        "{%- macro first(a='}}') -%}{% set b = 1 %}{{ a }}{%- endmacro %}\n"
        "between {# {% macro comment() %}{% endmacro %} #}\n"
        "{% test holds(model) %}select 1{% endtest %}"
        "{% materialization mine, adapter='duckdb' %}x{% endmaterialization %}"
    )
    assert [(block.kind, block.macro, block.text) for block in blocks_of(text)] == [
        ("macro", "first", "{%- macro first(a='}}') -%}{% set b = 1 %}{{ a }}{%- endmacro %}"),
        ("test", "test_holds", "{% test holds(model) %}select 1{% endtest %}"),
        ("materialization", "materialization_mine",
         "{% materialization mine, adapter='duckdb' %}x{% endmaterialization %}"),
    ]  # fmt: skip


@pytest.mark.parametrize("fault", ["{{ 'open", "{% macro c() %} and no end", "{% macro c() %}{{ d( }}{% endmacro %}"])
def test_a_broken_macro_leaves_the_others_of_its_file_what_they_were(fault: str) -> None:
    good = "{%- macro a() -%} 1 {%- endmacro %} {% macro b() %}2{% endmacro %}"
    before = {block.name: block.text for block in blocks_of(good)}
    for text in (f"{fault}\n{good}", f"{good}\n{fault}"):
        after = {block.name: block.text for block in blocks_of(text)}
        assert {name: after[name] for name in before} == before
