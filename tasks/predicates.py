"""SQL conditions written in a pipeline file: parsed, never pasted.

A condition is made of comparisons of one column of one interaction with constants, joined by and, or, not. What
reaches SQL is written again from the parsed tree, so nothing that is not such a condition can get there.
"""

from __future__ import annotations

import math

import sqlglot
from sqlglot import expressions as exp
from sqlglot.errors import ParseError, SqlglotError

from tasks.yaml_lines import nearest

COLUMNS = ("kind", "value")
KINDS = ("play", "purchase", "rating", "list_add", "click", "cancellation")

_CONNECTIVES = (exp.And, exp.Or, exp.Not, exp.Paren)
_EQUALITIES = (exp.EQ, exp.NEQ, exp.In)
_COMPARISONS = (*_EQUALITIES, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


def canonical(condition: str) -> str:
    """Return the condition as SQL written from its parsed tree.

    Raises:
        ValueError: it is not one boolean expression over `kind` and `value`; says what was found.
    """
    try:
        trees = sqlglot.parse(condition, dialect="duckdb")
        tokens = sqlglot.tokenize(condition, dialect="duckdb")
    except ParseError as error:
        last = error.errors[0]["highlight"]
        raise ValueError(f"found {condition!r}, which is not an SQL condition: stopped at {last!r}") from None
    except SqlglotError:
        raise ValueError(f"found {condition!r}, which is not an SQL condition: a quote is not closed") from None
    if any(token.comments for token in tokens):
        raise ValueError(f"found a comment in {condition!r}; expected only the condition, use # in YAML")
    if len(trees) != 1 or trees[0] is None:
        raise ValueError(f"found {condition!r}, expected exactly one SQL condition")
    _check(condition, trees[0])
    return trees[0].sql(dialect="duckdb", comments=False)


def _check(condition: str, node: exp.Expr) -> None:
    if isinstance(node, _CONNECTIVES):
        for child in node.iter_expressions():
            _check(condition, child)
    elif isinstance(node, exp.Is):
        if not (isinstance(node.this, exp.Column) and isinstance(node.expression, exp.Null)):
            raise _wrong(condition, node)
        _check_column(condition, node.this)
    elif isinstance(node, _COMPARISONS):
        _check_comparison(condition, node)
    else:
        raise _wrong(condition, node)


def _check_comparison(condition: str, node: exp.Expr) -> None:
    """Check that one column is compared with at least one constant of its type."""
    operands = list(node.iter_expressions())
    columns = [operand for operand in operands if isinstance(operand, exp.Column)]
    for column in columns:
        _check_column(condition, column)
    constants = [operand for operand in operands if not isinstance(operand, exp.Column)]
    if len(columns) != 1 or not constants or node.args.get("symmetric"):
        raise _wrong(condition, node)
    if columns[0].name == "value":
        if not all(_is_number(constant) for constant in constants):
            raise _wrong(condition, node, "numbers as the constants of value")
        return
    if not isinstance(node, _EQUALITIES):
        raise _wrong(condition, node, "kind only with =, <>, in or is null")
    for constant in constants:
        if not (isinstance(constant, exp.Literal) and constant.is_string):
            raise _wrong(condition, node, "texts as the constants of kind")
        if constant.name not in KINDS:
            raise ValueError(
                f"unknown kind {constant.name!r}; expected one of {', '.join(KINDS)}{nearest(constant.name, KINDS)}"
            )


def _check_column(condition: str, node: exp.Column) -> None:
    if node.name not in COLUMNS or node.table:
        raise ValueError(
            f"unknown column {node.sql()!r} in {condition!r}; expected one of {', '.join(COLUMNS)}"
            + nearest(node.name.lower(), COLUMNS)
        )


def _is_number(node: exp.Expr) -> bool:
    if isinstance(node, exp.Neg):
        node = node.this
    return isinstance(node, exp.Literal) and not node.is_string and math.isfinite(float(node.name))


def _wrong(condition: str, node: exp.Expr, expected: str = "") -> ValueError:
    rule = f"only comparisons of {' or '.join(COLUMNS)} with constants, joined by and, or, not"
    return ValueError(f"found {node.sql(dialect='duckdb')!r} in {condition!r}; expected {expected or rule}")
