"""Conditions of pipeline files: what gets through, what is refused, and with which words."""

from __future__ import annotations

import contextlib
import logging
import re
from typing import Literal

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spec.conditions import DECLARE, FLAGS, MEASURES, canonical, facts, facts_of, looks_back
from tasks.spec.kinds import KINDS
from tasks.spec.project import TOOL

RULE = "expected only comparisons of kind or value with constants, joined by and, or, not"
PAIR_RULE = "expected only comparisons of one fact with numbers, joined by and, or, not"


@pytest.mark.parametrize(
    ("written", "sql"),
    [
        ("kind = 'play'", "kind = 'play'"),
        ("value>=0.9   and kind='play'", "value >= 0.9 AND kind = 'play'"),
        ("kind in ('play', 'rating')", "kind IN ('play', 'rating')"),
        ("kind not in ('play')", "NOT kind IN ('play')"),
        ("not (kind = 'play' or value < -1)", "NOT (kind = 'play' OR value < -1)"),
        ("value between 1 and 2e3", "value BETWEEN 1 AND 2e3"),
        ("value is not null", "NOT value IS NULL"),
        ("0.5 <= value", "0.5 <= value"),
        ("\"kind\" <> 'play'", "\"kind\" <> 'play'"),
    ],
)
def test_a_condition_is_written_again_from_its_tree(written: str, sql: str) -> None:
    assert canonical(written) == sql
    assert canonical(sql) == sql


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("lower(kind) = 'play'", "found \"LOWER(kind) = 'play'\" in \"lower(kind) = 'play'\"; " + RULE),
        ("kind = (select 'play')", "found \"kind = (SELECT 'play')\""),
        ("kind in (select kind from events)", "found 'kind IN (SELECT kind FROM events)'"),
        ("exists (select 1)", "found 'EXISTS(SELECT 1)' in 'exists (select 1)'; " + RULE),
        ("value::int = 1", "found 'CAST(value AS INT) = 1' in 'value::int = 1'; " + RULE),
        ("value + 1 > 2", "found 'value + 1 > 2' in 'value + 1 > 2'; " + RULE),
        ("kind like 'p%'", "found \"kind LIKE 'p%'\" in \"kind like 'p%'\"; " + RULE),
        ("case when value > 1 then true end", "found 'CASE WHEN value > 1 THEN TRUE END'"),
        ("true", "found 'TRUE' in 'true'; " + RULE),
        ("value", "found 'value' in 'value'; " + RULE),
        ("kind = 'play' or true", "found 'TRUE' in \"kind = 'play' or true\"; " + RULE),
        ("1 = 1", "found '1 = 1' in '1 = 1'; " + RULE),
        ("value = value", "found 'value = value' in 'value = value'; " + RULE),
        ("value in (1, value)", "found 'value IN (1, value)' in 'value in (1, value)'; " + RULE),
        ("kind in ()", "found 'kind IN ()' in 'kind in ()'; " + RULE),
        ("value is true", "found 'value IS TRUE' in 'value is true'; " + RULE),
        ("value >= ?", "found 'value >= ?' in 'value >= ?'; expected numbers as the constants of value"),
        ("value = 'a'", "found \"value = 'a'\" in \"value = 'a'\"; expected numbers as the constants of value"),
        ("value > 1e400", "found 'value > 1e400' in 'value > 1e400'; expected numbers as the constants of value"),
        ("value > interval '1' day", "expected numbers as the constants of value"),
        ("kind = 3", "found 'kind = 3' in 'kind = 3'; expected texts as the constants of kind"),
        ("kind = null", "found 'kind = NULL' in 'kind = null'; expected texts as the constants of kind"),
        ("kind > 'play'", "expected kind only with =, <>, in or is null"),
        ("kind = 'play' -- done", "found a comment in \"kind = 'play' -- done\"; expected only the condition"),
        ("/* all */ value > 1", "found a comment in '/* all */ value > 1'; expected only the condition"),
        ("value > 1; drop table labels", "found 'value > 1; drop table labels', expected exactly one SQL condition"),
        ("", "found '', expected exactly one SQL condition"),
        ("value >", "found 'value >', which is not an SQL condition: "),
        ("kind = 'play", 'found "kind = \'play", which is not an SQL condition: '),
        ("kind = 'plays'", f"unknown kind 'plays'; expected one of {', '.join(KINDS)}; did you mean 'play'?"),
        ("'plays' = kind", f"unknown kind 'plays'; expected one of {', '.join(KINDS)}; did you mean 'play'?"),
        ("vlue > 1", "unknown column 'vlue' in 'vlue > 1'; expected one of kind, value; did you mean 'value'?"),
        ("VALUE > 1", "unknown column 'VALUE' in 'VALUE > 1'; expected one of kind, value; did you mean 'value'?"),
        ("e.value > 1", "unknown column 'e.value' in 'e.value > 1'; expected one of kind, value"),
        (
            "kind = 'play' and play_count > 1",
            "found 'play_count' in \"kind = 'play' and play_count > 1\", a fact of all interactions of the pair; write "
            "this rule with the key `pair`",
        ),
    ],
)
def test_anything_else_is_refused(written: str, error: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        canonical(written)
    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("written", "sql", "mentioned"),
    [
        ("play_count>0 and play_max<0.1", "play_count > 0 AND play_max < 0.1", ("play_count", "play_max")),
        ("not rating_follows_play", "NOT rating_follows_play", ("rating_follows_play",)),
        (
            "rating_last >= 4 and (rating_follows_play or play_before > 0)",
            "rating_last >= 4 AND (rating_follows_play OR play_before > 0)",
            ("play_before", "rating_last", "rating_follows_play"),
        ),
        ("list_add_count = 0", "list_add_count = 0", ("list_add_count",)),
        ("play_max is null", "play_max IS NULL", ("play_max",)),
        ("purchase_sum between 2 and 9", "purchase_sum BETWEEN 2 AND 9", ("purchase_sum",)),
    ],
)
def test_a_condition_of_a_pair_is_written_again_too(written: str, sql: str, mentioned: tuple[str, ...]) -> None:
    assert canonical(written, "pair") == sql
    assert facts(written) == mentioned


def test_every_kind_has_the_same_facts() -> None:
    kinds = (*KINDS, "gift")
    assert len(facts_of(kinds)) == len(set(facts_of(kinds))) == 5 * len(kinds) + 1


def test_a_kind_of_the_pipelines_own_is_one_like_the_others() -> None:
    kinds = (*KINDS, "gift_card")
    assert canonical("kind = 'gift_card' and value > 2", kinds=kinds) == "kind = 'gift_card' AND value > 2"
    assert canonical("gift_card_count>1", "pair", kinds) == "gift_card_count > 1"
    # Known kinds come first, whatever the condition mentions first: SQL gets the facts in this order.
    assert facts("gift_card_last > 1 or play_count = 0", kinds) == ("play_count", "gift_card_last")


@pytest.mark.parametrize("key", ["when", "pair"])
def test_a_kind_that_resembles_none_may_be_one_to_declare(key: Literal["when", "pair"]) -> None:
    with pytest.raises(ValueError, match=r"unknown (kind|fact) 'zz") as caught:
        canonical("kind = 'zzzzzzzz'" if key == "when" else "zzzzzzzz > 1", key)
    assert str(caught.value).endswith(DECLARE)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("gift_before > 0", True), ("gift_count > 0", False), ("seen_before_count > 0", False),
        ("play_count > 1 and not rating_follows_play", True),
    ],
)  # fmt: skip
def test_whether_a_condition_looks_back_is_told_without_knowing_the_kinds(condition: str, expected: bool) -> None:
    assert looks_back(condition) is expected


def test_every_fact_is_documented_and_every_rule_of_the_page_is_one() -> None:
    page = (TOOL / "docs" / "labels.md").read_text(encoding="utf-8")
    assert [name for name in FLAGS if f"| `{name}` |" not in page] == []
    assert [measure for measure in MEASURES if f"| `<kind>_{measure}` |" not in page] == []
    assert f"({', '.join(f'`{kind}`' for kind in KINDS)})" in page
    pairs = re.findall(r'pair: "([^"]+)"', page)
    assert len(pairs) >= 8
    assert [canonical(condition, "pair").lower() for condition in pairs] == pairs


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("play_count", "found 'play_count' in 'play_count'; " + PAIR_RULE),
        ("play_count > click_count", "found 'play_count > click_count' in 'play_count > click_count'; " + PAIR_RULE),
        ("play_count + 1 > 2", "found 'play_count + 1 > 2' in 'play_count + 1 > 2'; " + PAIR_RULE),
        ("play_max > '1'", "in \"play_max > '1'\"; expected numbers as the constants of play_max"),
        (
            "rating_follows_play = true",
            "found 'rating_follows_play = TRUE' in 'rating_follows_play = true'; expected rating_follows_play alone or "
            "behind not, because it is true or false",
        ),
        (
            "plays_count > 1",
            "unknown fact 'plays_count' in 'plays_count > 1'; expected rating_follows_play, or a kind (play, purchase, "
            "rating, list_add, click, cancellation) with one of _count, _max, _sum, _last, _before; did you mean "
            "'play_count'?",
        ),
        ("p.play_count > 1", "unknown fact 'p.play_count' in 'p.play_count > 1'; expected rating_follows_play, or "),
        ("p.rating_follows_play", "unknown fact 'p.rating_follows_play' in 'p.rating_follows_play'; expected "),
        ("PLAY_COUNT > 1", "did you mean 'play_count'?"),
        (
            "play_count > 0 and value >= 0.9",
            "found 'value' in 'play_count > 0 and value >= 0.9', a column of one interaction; write this rule with the "
            "key `when`, or with facts of the pair like play_count and play_max",
        ),
        ("kind = 'play'", "found 'kind' in \"kind = 'play'\", a column of one interaction; write this rule with the"),
    ],
)
def test_anything_else_is_refused_of_a_pair(written: str, error: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        canonical(written, "pair")
    assert error in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "value >= (select max(1))",
        "kind in (select column0 from read_csv('/etc/passwd'))",
        "value = length(read_text('/etc/passwd'))",
        "copy (select 1) to 'scratch/PWNED3'",
        "attach 'scratch/x.db'",
        "kind = 'play' -- x",
        "kind /* x */ = 'play'",
        "kind = 'play'; drop table x",
        "kind = getenv('HOME')",
        "exists(select * from glob('/etc/*'))",
        "kind = 'play' union select 1",
        "value::varchar = '1'",
        "abs(value) > 1",
        "value + 1 > 2",
        "kind like 'p%'",
        "kind similar to 'play'",
        "case when kind = 'play' then true end",
        "KIND = 'play'",
        "x.kind = 'play'",
        "information_schema.kind = 'play'",
        "list_filter([1], x -> x > value) = [1]",
        "kind = 'play' and {{ env_var('HOME') }}",
        "kind = '{{ env_var(\"HOME\") }}'",
        "value >= 0.9 {% set x = 1 %}",
        "kind = 'play'' or 1=1 --'",
        "kind = $$play$$",
        "kind = E'play\\x00'",
        "kind = U&'pl\\0061y'",
        "value > 0xFF",
        "value > 1e400",
        "value > 'nan'",
        "value > infinity",
        "1 = 1",
        "true",
        "",
        "   ",
        "kind = 'pl\x00ay'",
        "kind = 'play' and value >= 0\u202e.9",
        "\uff4bind = 'play'",
        "kind = ?",
        "kind = $x",
        "value between symmetric 1 and 0",
        "kind in ('play', getenv('X'))",
        "value is distinct from 1",
        "kind = 'play' and value at time zone 'x' > 1",
        "rank() over () > 1",
        "* = 1",
        "kind = $a$play$a$ or true",
        "kind = 'play' or chr(0) = ''",
        "value > interval 1 day",
        "value > 1 order by 1",
        "value > 1 limit 1",
        "value = unnest([1])",
        "{'a': value}.a > 1",
        "columns(*) > 1",
        "try_cast(value as int) > 1",
        "value > --1",
        "value > - -1",
        "kind not in (null)",
        "kind collate nocase = 'play'",
        "set x = 1",
        "pragma version",
        "call pragma_version()",
        "install httpfs",
        "load httpfs",
        "export database 'scratch/x'",
        "use x",
        "kind in (values ('play'))",
        "kind = any(['play'])",
        "exists (select 1)",
    ],
)
def test_whatever_reads_runs_or_computes_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unknown|which is not an SQL condition") as caught:
        canonical(written)
    assert type(caught.value) is ValueError


@pytest.mark.parametrize(
    ("written", "sql"),
    [
        ("kind\n=\n'play'", "kind = 'play'"),
        ("kind = 'play';", "kind = 'play'"),
        ("value > 1_000", "value > 1000"),
        ("value > 999999999999999999999999", "value > 999999999999999999999999"),
    ],
)
def test_another_way_to_write_the_same_is_read(written: str, sql: str) -> None:
    assert canonical(written) == sql


_NUMBERS = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
_COMPARED = st.one_of(
    st.builds("kind {} '{}'".format, st.sampled_from(["=", "<>"]), st.sampled_from(KINDS)),
    st.builds("value {} {}".format, st.sampled_from(["<", "<=", "=", ">", ">="]), _NUMBERS),
    st.builds("value between {} and {}".format, _NUMBERS, _NUMBERS),
)
_CONDITIONS = st.recursive(
    _COMPARED,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=6,
)


@given(_CONDITIONS, st.sampled_from(KINDS), _NUMBERS)
def test_what_is_written_means_what_was_meant(condition: str, kind: str, value: float) -> None:
    query = f"select ({condition}) = ({canonical(condition)}) from (select ? as kind, ?::double as value)"
    with duckdb.connect() as connection:
        assert connection.execute(query, [kind, value]).fetchall() == [(True,)]


@given(st.text(max_size=40) | st.text("kindvalue_p'=<>() -0123456789;", max_size=40), st.sampled_from(["when", "pair"]))
def test_no_text_breaks_the_parser(text: str, key: Literal["when", "pair"]) -> None:
    with contextlib.suppress(ValueError):
        canonical(text, key)


@pytest.mark.parametrize("written", ["call x", "load x", "alter table x", "grant a"])
def test_the_parser_says_nothing_of_its_own(written: str, capfd: pytest.CaptureFixture[str]) -> None:
    logged: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = logged.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        with pytest.raises(ValueError, match="expected only comparisons of kind or value with constants"):
            canonical(written)
    finally:
        logging.getLogger().removeHandler(handler)
    assert not logged
    assert capfd.readouterr() == ("", "")
