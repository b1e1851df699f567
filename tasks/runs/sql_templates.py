"""What a text of the SQL project names: macros, models, texts that may be the name of a model, and what only dbt knows.

Read with Jinja's own lexer, and never run: dbt's parse takes five seconds, this a fiftieth of it. What is found is at
least what dbt would use; where a name is put together while dbt runs, the template counts as opaque.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

DBT_PROJECT = "matinee"
"""The name in `dbt_project.yml`, which may stand before that of a macro."""
_START = re.compile(r"\{%[-+]?\s*(macro|test|data_test|materialization|docs)\s+(\w+)")
_END = re.compile(r"\{%[-+]?\s*end(macro|test|data_test|materialization|docs)\s*[-+]?%\}")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
# Written without braces in yml, too.
_REF = re.compile(r"""\bref\(\s*['"](\w+)['"]\s*(?:,\s*['"](\w+)['"])?""")
Token = tuple[str, str]
"""Kind and value."""


@dataclass(frozen=True)
class Template:
    """What one text names.

    Attributes:
        text: the text.
        names: variables and functions, each of which may be a macro.
        refs: models named by `ref('…')`.
        texts: all quoted texts.
        dispatches: whether macros are called through `adapter.dispatch`; their names are among `texts`.
        refs_a_variable: whether there is a `ref(name)`; what it names is a text of whoever calls it.
        opaque: whether names are put together while dbt runs, so that it may use anything.
    """

    text: str
    names: frozenset[str] = frozenset()
    refs: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    dispatches: bool = False
    refs_a_variable: bool = False
    opaque: bool = False


@dataclass(frozen=True)
class Block:
    """A macro, generic test, materialization or piece of documentation; `text` is all that dbt reads of it."""

    kind: str
    name: str
    text: str

    @property
    def macro(self) -> str:
        """The name that dbt has for it as a macro."""
        prefix = {"test": "test_", "data_test": "test_", "materialization": "materialization_"}.get(self.kind, "")
        return prefix + self.name


@lru_cache(maxsize=4096)  # by content, so that an edited file is read again and the others are not
def template_of(text: str) -> Template:
    """Find what a text names."""
    from jinja2 import TemplateSyntaxError

    try:
        tokens = [("", ""), ("", ""), *_code(text), *[("", "")] * 3]
    except TemplateSyntaxError:
        # dbt, whose lexer is the same, will say what is wrong with it.
        return Template(text)
    names, refs_a_variable, opaque = set(), False, False
    for n in range(2, len(tokens) - 3):
        (kind, value), after = tokens[n], tokens[n + 1 : n + 4]
        if kind != "name":
            continue
        if tokens[n - 1] != ("operator", ".") or tokens[n - 2] == ("name", DBT_PROJECT):
            names.add(value)
        refs_a_variable |= _refs_a_variable(value, after)
        opaque |= _is_opaque(value, after)
    refs = {name for pair in _REF.findall(text) for name in pair if name}
    texts = {value for kind, value in tokens if kind == "string"}
    dispatches = ("name", "dispatch") in tokens
    return Template(text, frozenset(names), frozenset(refs), frozenset(texts), dispatches, refs_a_variable, opaque)


def _refs_a_variable(name: str, after: list[Token]) -> bool:
    return name == "ref" and after[0][1] == "(" and after[1][0] == "name" and after[2][1] in {")", ","}


def _is_opaque(name: str, after: list[Token]) -> bool:
    """Tell whether a name is used in a way that only running it tells what is meant."""
    following, (kind, argument), behind = after[0][1], after[1], after[2][1]
    if name in {"ref", "dispatch", "var"} and following == "(":
        is_literal = kind == "string" and behind in {")", ","}
        return not (is_literal or _refs_a_variable(name, after))
    # A model that is missing in the graph would not be an error: only a shorter list.
    return name == "context" or (name == "graph" and (following, argument) != (".", "sources"))


def _code(text: str) -> Iterator[Token]:
    """Yield the tokens of the code of a template, and of the templates that are texts in it, such as hooks."""
    for kind, value in _lexed(text):
        if kind == "string":
            inner = value[1:-1]
            yield kind, inner
            if "{{" in inner or "{%" in inner:
                yield from _code(inner)
                yield "", ""
        elif kind not in {"data", "whitespace", "comment_begin", "comment", "comment_end"}:
            yield kind, value


def _lexed(text: str) -> list[Token]:
    # Most yml has no code at all, and lexing is all that this costs.
    if "{" not in text:
        return []
    return [(kind, value) for _, kind, value in _environment().lex(text)]


@cache
def _environment() -> Environment:
    from jinja2 import Environment

    return Environment(autoescape=False)  # noqa: S701 - lexes SQL, renders nothing


@lru_cache(maxsize=1024)
def blocks_of(text: str) -> tuple[Block, ...]:
    """Take a file of macros apart; what stands between them, dbt does not read.

    A block without an end goes on to the next one: dbt refuses it, and the others are what they were.
    """
    # By their places, not by the lexer, which reads nothing of a file that is wrong anywhere.
    visible = _COMMENT.sub(lambda match: " " * len(match[0]), text)
    starts = list(_START.finditer(visible))
    bounds = [*(start.start() for start in starts), len(text)]
    blocks = []
    for start, limit in zip(starts, bounds[1:], strict=True):
        ends = (end.end() for end in _END.finditer(visible, start.end(), limit) if end[1] == start[1])
        blocks.append(Block(start[1], start[2], text[start.start() : next(ends, limit)]))
    return tuple(blocks)
