"""Which code a result was made by: a digest of the modules that have a part in it, and of no others.

A new command or another color in the report must not name a new version. So the modules are found by following the
imports, wherever in a file they stand, from the steps whose files end up in a version. Names and texts are those of the
clone: an installed wheel has them below a package, and gives the same digests (ADR 21). Of the table of steps itself,
which everything imports, only the functions of those steps count: a reworded sentence must name no new version either.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from tasks.errors import MatineeError
from tasks.runs.import_root import without_root
from tasks.runs.steps import STEPS, Step
from tasks.spec.project import PREFIX, TOOL
from tasks.store.files import digest, sha256_file

OWN = frozenset({"tasks", "engine"})


def modules(roots: tuple[str, ...], project: Path = TOOL, within: str = "") -> dict[str, Path]:
    """Find the modules of `tasks` and `engine` that some modules depend on, and these themselves, by dotted name.

    Args:
        roots: dotted names of modules or packages.
        project: folder that holds `tasks` and `engine`.
        within: beginning of the names that are followed.

    Raises:
        MatineeError: a root is not found; left out silently, its code would leave the version's digest.
    """
    files: dict[str, Path] = {}
    roots = tuple(name.removeprefix(PREFIX) for name in roots)
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        path = _required(name, project) if name in roots else _file_of(name, project)
        if path is not None:
            files[name] = path
            # Importing a.b.c runs a and a.b first, so what their `__init__` imports has a part in it too.
            waiting += [one for one in (*_parents(name), *_imported(name, path)) if one.startswith(within)]
    return dict(sorted(files.items()))


def _file_of(name: str, project: Path) -> Path | None:
    """Find the file of a module or package without importing it; None for a function or class in a module."""
    folders: list[str] | None = [str(project)]
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        if folders is None:
            return None
        spec = PathFinder.find_spec(".".join(parts[:depth]), folders)
        if spec is None:
            return None
        folders = list(spec.submodule_search_locations) if spec.submodule_search_locations is not None else None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))]


def _imported(name: str, path: Path) -> list[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names = []
    for node in ast.walk(ast.parse(_source(path))):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                # One dot is the package itself (nothing is split off), each further one a folder above it.
                module = f"{package.rsplit('.', node.level - 1)[0]}.{module}".rstrip(".")
            # `from a import b` may name a module as well as a function: what is no module has no file, and is dropped.
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [imported for imported in names if imported.split(".")[0] in OWN]


def makers(steps: Sequence[Step] = STEPS) -> tuple[str, ...]:
    """Name the modules of the steps that have a part in a version."""
    return tuple(step.module for step in steps if step.makes_version)


def source_digest(*names: str) -> str:
    """Digest the source of some modules alone, without their imports.

    Args:
        names: dotted names below `tasks`, so that the digest is the same under whatever root they are installed.

    Raises:
        MatineeError: one of them is not found.
    """
    return digest({name: _digest_of(_required(f"tasks.{name}", TOOL)) for name in names})


def _source(path: Path) -> bytes:
    return without_root(path.read_bytes(), PREFIX)


def _digest_of(path: Path) -> str:
    return hashlib.sha256(_source(path)).hexdigest()


def room_digest(name: str) -> str:
    """Digest the source of a module, and of all that it imports of its own room.

    Args:
        name: dotted name below `tasks`, whose first part is the room.

    Raises:
        MatineeError: it is not found.
    """
    room = f"tasks.{name.partition('.')[0]}."
    return source_digest(*(found.removeprefix("tasks.") for found in modules((f"tasks.{name}",), within=room)))


def _required(name: str, project: Path) -> Path:
    path = _file_of(name, project)
    if path is None:
        raise MatineeError(f"the code of {name!r} is not found below {project}; it is part of a digest")
    return path


@cache
def code_digest() -> str:
    """Digest of the code that makes results: the steps up to publishing, all that they import, and their SQL."""
    # Cached, since a process asks for each step: code that is edited meanwhile is not the code that is loaded.
    return digest_of_steps(STEPS)


def digest_of_steps(steps: Sequence[Step], project: Path = TOOL) -> str:
    """Digest the code of the steps that make a version, whatever the table of steps says about them.

    Args:
        steps: the table.
        project: folder that holds `tasks` and `engine`.
    """
    files = modules(makers(steps), project)
    # Instead of the table's text: sentences, lines and trigger rules are for people and for schedulers.
    files.pop(Step.__module__.removeprefix(PREFIX), None)
    functions = sorted(step.function for step in steps if step.makes_version)
    statements = {path for file in files.values() for path in (file.parent / "sql").glob("*.sql")}
    sql = {f"{path.parts[-3]}/sql/{path.name}": sha256_file(path) for path in statements}
    code = {name: _digest_of(path) for name, path in files.items()}
    return digest({"code": code, "sql": sql, "steps": functions})
