"""The tree of a descriptor as nested nodes, for the page of a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Branch:
    """A node: its key, its type, its plain values in words, and the nodes below it."""

    name: str
    kind: str = ""
    text: str = ""
    below: tuple[Branch, ...] = ()


def branches(ranker: Mapping[str, Any], rankers: Mapping[str, Any]) -> list[Branch]:
    """Arrange the ranker of a descriptor, and those that it refers to.

    It takes JSON, not parsed nodes: a version of another engine has a page too.
    """
    return [_branch("ranker", ranker), *(_branch(f"ranker {name}", node) for name, node in rankers.items())]


def _branch(name: str, node: Any) -> Branch:
    if isinstance(node, Mapping):
        plain = {key: value for key, value in node.items() if not isinstance(value, Mapping | list)}
        below = [_branch(str(key), value) for key, value in node.items() if isinstance(value, Mapping | list) and value]
        # A `$ref` is a plain value: the ranker that it names is shown beside, not again below.
        kind = str(plain.pop("type", ""))
        return Branch(name, kind, ", ".join(f"{key} {value}" for key, value in plain.items()), tuple(below))
    if isinstance(node, list):
        below = [_branch(str(n), value) for n, value in enumerate(node, 1)]
        return Branch(name, text=str(len(node)), below=tuple(below))
    return Branch(name, text=str(node))
