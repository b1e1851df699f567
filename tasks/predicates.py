"""SQL conditions written in a pipeline file: parsed, never pasted.

A condition is one boolean expression over the columns of one interaction. What reaches SQL is written
again from the parsed tree, so nothing that is not such an expression can get there.
"""

from __future__ import annotations

import sqlglot
from sqlglot import expressions as exp
from sqlglot.errors import SqlglotError

from tasks.yaml_lines import nearest

COLUMNS = ("kind", "value")
KINDS = ("play", "purchase", "rating", "list_add", "click", "cancellation")

_CONNECTIVES = (exp.And, exp.Or, exp.Not, exp.Paren)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Is)
_OPERANDS = (exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Neg)


def canonical(condition: str) -> str:
    """Return the condition as SQL written from its parsed tree.

    Raises:
        ValueError: it is not one boolean expression over `kind` and `value`; says what was found.
    """
    try:
        trees = sqlglot.parse(condition, dialect="duckdb")
    except SqlglotError as error:
        first = str(error).split("\n", maxsplit=1)[0].split(". Line")[0]
        raise ValueError(f"found {condition!r}, which is not an SQL condition: {first}") from None
    if len(trees) != 1 or trees[0] is None:
        raise ValueError(f"found {condition!r}, expected exactly one SQL condition")
    tree = trees[0]
    if not isinstance(tree, _CONNECTIVES + _COMPARISONS):
        raise ValueError(f"found {condition!r}, expected a comparison, like kind = 'play' and value >= 0.9")
    for node in tree.walk():
        _check(condition, node)
    return tree.sql(dialect="duckdb", comments=False)


def _check(condition: str, node: exp.Expression) -> None:
    if not isinstance(node, _CONNECTIVES + _COMPARISONS + _OPERANDS):
        raise ValueError(
            f"found {node.sql(dialect='duckdb')!r} in {condition!r}; expected only comparisons of "
            f"{' and '.join(COLUMNS)} with constants, joined by and, or, not"
        )
    if isinstance(node, _CONNECTIVES) and any(
        not isinstance(child, _CONNECTIVES + _COMPARISONS) for child in node.iter_expressions()
    ):
        raise ValueError(
            f"found {condition!r}, where something that is no comparison is joined by and, or, not"
        )
    if isinstance(node, exp.Column):
        _check_column(condition, node)
    if isinstance(node, exp.EQ | exp.NEQ | exp.In):
        _check_kinds(node)


def _check_column(condition: str, node: exp.Column) -> None:
    if node.name not in COLUMNS or node.table:
        raise ValueError(
            f"unknown column {node.sql()!r} in {condition!r}; expected one of {', '.join(COLUMNS)}"
            + nearest(node.name, COLUMNS)
        )


def _check_kinds(node: exp.Expression) -> None:
    if not (isinstance(node.this, exp.Column) and node.this.name == "kind"):
        return
    values = node.expressions if isinstance(node, exp.In) else [node.expression]
    for value in values:
        if value.name not in KINDS:
            raise ValueError(
                f"unknown kind {value.name!r}; expected one of {', '.join(KINDS)}"
                + nearest(value.name, KINDS)
            )
