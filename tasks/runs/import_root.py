"""The package below which an installed wheel has our packages: its name in their imports, and out of them (ADR 21).

Only statements that import are changed, at the places that the parser gives, so that taking the name out again gives
the text of the clone, byte by byte: digests of code are taken of that. The build of the wheel runs this module, too, so
it imports nothing of ours.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

PACKAGES = ("tasks", "engine", "dags", "serving")
"""What a wheel has below its one package."""


def with_root(source: bytes, root: str) -> bytes:
    """Let the imports of a module name our packages below a root, such as `matinee.`.

    Raises:
        ValueError: `import tasks.x` without `as`, since what it binds is spelled all over the module; or a name that is
            not on the line of its `from`.
    """
    return _changed(source, "", root)


def without_root(source: bytes, root: str) -> bytes:
    """Take the root out of the imports of a module."""
    return _changed(source, root, "") if root else source


def _changed(source: bytes, old: str, new: str) -> bytes:
    lines = source.splitlines(keepends=True)
    # From the end, so that the places before stay what they are.
    for line, column in sorted(_places(source, old), reverse=True):
        text = lines[line - 1]
        match = _NAME.match(text, column)
        if match is None:
            raise ValueError(f"line {line}: expected the name of the module on the line of `from`")
        lines[line - 1] = text[: match.start(1)] + new.encode() + text[match.start(1) + len(old) :]
    return b"".join(lines)


# At an alias the name itself; at a statement what stands before the name, which must not be taken for it.
_NAME = re.compile(rb"(?:from\b[ \t]*+)?+(\w)")


def _places(source: bytes, root: str) -> Iterator[tuple[int, int]]:
    """Yield the line (from 1) and the byte in it at which a statement or a name begins that imports ours."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and _is_ours(node.module or "", root):
            yield node.lineno, node.col_offset
        for alias in node.names if isinstance(node, ast.Import) else ():
            if _is_ours(alias.name, root):
                if alias.asname is None:
                    raise ValueError(f"line {alias.lineno}: import {alias.name}: expected `from … import …`")
                yield alias.lineno, alias.col_offset


def _is_ours(name: str, root: str) -> bool:
    return name.startswith(root) and name.removeprefix(root).split(".")[0] in PACKAGES
