"""Which code a result was made by: a digest of the modules that have a part in it, and of no others.

A new command or another colour in the report must not name a new version. So the modules are found by following the
imports, wherever in a file they stand, from the steps whose files end up in a version.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tasks.catalog import PROJECT
from tasks.home import digest, sha256_file

STEPS = ("build", "retrieve", "sample", "train", "evaluate", "gate", "publish")


def modules(roots: tuple[str, ...], project: Path = PROJECT) -> dict[str, Path]:
    """Return the modules of `tasks` and `engine` that some modules depend on, and these themselves, by dotted name."""
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = project.joinpath(*name.split(".")).with_suffix(".py")
        if name not in found and path.is_file():
            found[name] = path
            waiting += _imported(path)
    return dict(sorted(found.items()))


def _imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [name for name in names if name.split(".")[0] in {"tasks", "engine"}]


@cache
def code_digest() -> str:
    """Return the digest of the Python that makes results: the steps up to publishing, and all that they import."""
    found = modules(tuple(f"tasks.{step}" for step in STEPS))
    return digest({name: sha256_file(path) for name, path in found.items()})
