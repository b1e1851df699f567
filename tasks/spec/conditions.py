"""SQL conditions written in a pipeline file: parsed, never pasted.

A condition is made of comparisons of one name with constants, joined by and, or, not. What reaches SQL is written
again from the parsed tree, so nothing that is not such a condition can get there. There are two vocabularies: `when`
speaks of one interaction (`kind`, `value`), `pair` of all interactions of a user and item (`facts_of`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlglot
from sqlglot import expressions as exp
from sqlglot.errors import ParseError, SqlglotError

from tasks.spec.kinds import KINDS
from tasks.spec.yaml_lines import nearest

# What sqlglot knows by its first word only, such as `call x`, it warns of and keeps as a text; it is refused here.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

Key = Literal["when", "pair"]
LONGEST = 2_000
"""Characters of a condition: far more than anybody reads."""

COLUMNS = ("kind", "value")
MEASURES = ("count", "max", "sum", "last", "before")
FLAGS = ("rating_follows_play",)
LOOKING_BACK = ("_before", "rating_follows_play")
"""Ends of the facts that also need the 365 days up to the cut."""
DECLARE = "; declare a kind of your own under `interactions.kinds`"

_CONNECTIVES = (exp.And, exp.Or, exp.Not, exp.Paren)
_EQUALITIES = (exp.EQ, exp.NEQ, exp.In)
_COMPARISONS = (*_EQUALITIES, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_RULE: dict[Key, str] = {
    "when": "only comparisons of kind or value with constants, joined by and, or, not",
    "pair": "only comparisons of one fact with numbers, joined by and, or, not",
}


def facts_of(kinds: Sequence[str]) -> tuple[str, ...]:
    """Name every fact that there is of interactions of some kinds."""
    return (*(f"{kind}_{measure}" for kind in kinds for measure in MEASURES), *FLAGS)


@dataclass(frozen=True)
class _Vocabulary:
    """What a condition may speak of: the names that its key allows, and the pipeline's kinds."""

    key: Key
    kinds: Sequence[str]

    @property
    def facts(self) -> tuple[str, ...]:
        return facts_of(self.kinds)

    @property
    def names(self) -> tuple[str, ...]:
        return COLUMNS if self.key == "when" else self.facts


def canonical(condition: str, key: Key = "when", kinds: Sequence[str] = KINDS) -> str:
    """Write a condition as SQL anew from its parsed tree.

    Args:
        condition: as written in the pipeline file.
        key: under which key it stands, which decides the names it may use.
        kinds: that the pipeline knows.

    Raises:
        ValueError: it is not one boolean expression over the names of its key; says what was found.
    """
    return _parsed(condition, _Vocabulary(key, kinds)).sql(dialect="duckdb", comments=False)


def facts(condition: str, kinds: Sequence[str] = KINDS) -> tuple[str, ...]:
    """List the facts that a condition of `pair` mentions, in the order of `facts_of`.

    Raises:
        ValueError: like `canonical`.
    """
    used = {column.name for column in _parsed(condition, _Vocabulary("pair", kinds)).find_all(exp.Column)}
    return tuple(name for name in facts_of(kinds) if name in used)


def looks_back(condition: str) -> bool:
    """Whether a condition of `pair` needs interactions from before the cut.

    Raises:
        ValueError: it is no SQL condition. Its names are not checked: what kinds there are does not matter here.
    """
    return any(column.name.endswith(LOOKING_BACK) for column in _tree(condition).find_all(exp.Column))


def _parsed(condition: str, known: _Vocabulary) -> exp.Expr:
    tree = _tree(condition)
    for part in _compared(tree):
        _check(condition, part, known)
    return tree


def _tree(condition: str) -> exp.Expr:
    if len(condition) > LONGEST:
        raise ValueError(f"found a condition of {len(condition):,} characters, expected at most {LONGEST:,}")
    # Tokens too, because the tree has no comments: one could hide half of what a reader sees.
    try:
        tokens = sqlglot.tokenize(condition, dialect="duckdb")
        trees = sqlglot.parse(condition, dialect="duckdb")
    except RecursionError:  # the parser follows parentheses and `not` by calling itself
        raise ValueError(
            f"found {condition[:40]!r}…, which is nested too deeply; expected a simpler condition"
        ) from None
    except ParseError as error:
        last = error.errors[0]["highlight"]
        raise ValueError(f"found {condition!r}, which is not an SQL condition: stopped at {last!r}") from None
    except SqlglotError:
        raise ValueError(f"found {condition!r}, which is not an SQL condition: a quote is not closed") from None
    if any(token.comments for token in tokens):
        raise ValueError(f"found a comment in {condition!r}; expected only the condition, use # in YAML")
    # A semicolon gives two trees; an empty text gives one that is None.
    if len(trees) != 1 or trees[0] is None:
        raise ValueError(f"found {condition!r}, expected exactly one SQL condition")
    return trees[0]


def _compared(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield what and, or, not join."""
    if isinstance(node, _CONNECTIVES):
        for child in node.iter_expressions():
            yield from _compared(child)
    else:
        yield node


def _check(condition: str, node: exp.Expr, known: _Vocabulary) -> None:
    # A flag is a condition by itself: the only column that needs no comparison.
    if isinstance(node, exp.Column) and node.name in FLAGS:
        _check_column(condition, node, known)
    elif isinstance(node, exp.Is):
        if not (isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Null)):
            raise _wrong(condition, node, _RULE[known.key])
        _check_column(condition, node.this, known)
    elif isinstance(node, _COMPARISONS):
        _check_comparison(condition, node, known)
    else:
        raise _wrong(condition, node, _RULE[known.key])


def _check_comparison(condition: str, node: exp.Expr, known: _Vocabulary) -> None:
    """Check that one column is compared with at least one constant of its type."""
    operands = list(node.iter_expressions())
    columns = [operand for operand in operands if isinstance(operand, exp.Column)]
    for column in columns:
        _check_column(condition, column, known)
    constants = [operand for operand in operands if not isinstance(operand, exp.Column)]
    # `between symmetric` takes its bounds in either order: nobody who reads the file would expect it.
    if len(columns) != 1 or not constants or node.args.get("symmetric"):
        raise _wrong(condition, node, _RULE[known.key])
    name = columns[0].name
    if name == "kind":
        _check_kinds(condition, node, constants, known.kinds)
    elif name in FLAGS:
        raise _wrong(condition, node, f"{name} alone or behind not, because it is true or false")
    elif not all(_is_number(constant) for constant in constants):
        raise _wrong(condition, node, f"numbers as the constants of {name}")


def _check_kinds(condition: str, node: exp.Expr, constants: list[exp.Expr], kinds: Sequence[str]) -> None:
    if not isinstance(node, _EQUALITIES):
        raise _wrong(condition, node, "kind only with =, <>, in or is null")
    for constant in constants:
        if not (isinstance(constant, exp.Literal) and constant.is_string):
            raise _wrong(condition, node, "texts as the constants of kind")
        if constant.name not in kinds:
            raise ValueError(
                f"unknown kind {constant.name!r}; expected one of {', '.join(kinds)}"
                f"{nearest(constant.name, kinds) or DECLARE}"
            )


def _check_column(condition: str, node: exp.Column, known: _Vocabulary) -> None:
    if node.name in known.names and not node.table:
        return
    place, name = f"{node.sql()!r} in {condition!r}", node.name.lower()
    if known.key == "when" and name in known.facts:
        raise ValueError(f"found {place}, a fact of all interactions of the pair; write this rule with the key `pair`")
    if known.key == "pair" and name in COLUMNS:
        raise ValueError(
            f"found {place}, a column of one interaction; write this rule with the key `when`, or with facts of the "
            "pair like play_count and play_max"
        )
    if known.key == "when":
        raise ValueError(f"unknown column {place}; expected one of {', '.join(COLUMNS)}{nearest(name, COLUMNS)}")
    raise ValueError(
        f"unknown fact {place}; expected {' or '.join(FLAGS)}, or a kind ({', '.join(known.kinds)}) with one of "
        f"{', '.join('_' + measure for measure in MEASURES)}{nearest(name, known.facts) or DECLARE}"
    )


def _is_number(node: exp.Expr) -> bool:
    # The parser reads -1 as the negation of 1.
    if isinstance(node, exp.Neg):
        node = node.this
    # 1e999 is a number to the parser, and infinite.
    return isinstance(node, exp.Literal) and not node.is_string and math.isfinite(float(node.name))


def _wrong(condition: str, node: exp.Expr, expected: str) -> ValueError:
    return ValueError(f"found {node.sql(dialect='duckdb')!r} in {condition!r}; expected {expected}")
