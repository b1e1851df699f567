"""No string names a module of ours by an absolute name, because a wheel installs them below `matinee` (ADR 21)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tasks.runs.provenance import source_digest
from tasks.runs.steps import ROOT, STEPS
from tasks.spec.project import PREFIX, TOOL

PACKAGES = ("tasks", "engine", "dags", "serving")
FILES = sorted(path for package in (*PACKAGES, "matinee") for path in (TOOL / package).rglob("*.py"))
ABSOLUTE = re.compile(rf"(?:-m )?(?:{'|'.join(PACKAGES)})(?:\.[a-z_]\w*)+(?:[.:]\w+)?")


def names_in(source: str) -> list[str]:
    """String literals that are the dotted name of a module of ours; docstrings and prose are not."""
    tree = ast.parse(source)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside
        if ABSOLUTE.fullmatch(node.value) and not node.value.endswith((".py", ".json", ".csv"))
    ]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(TOOL)) for path in FILES])
def test_no_string_names_a_module_by_an_absolute_name(path: Path) -> None:
    assert names_in(path.read_text(encoding="utf-8")) == [], "derive it from __package__ or from PREFIX"


@pytest.mark.parametrize(
    "text", ["tasks.alerts.sender", "-m tasks.cli", "dags.bundle.PipelineBundle", "engine.trees:x"]
)
def test_an_absolute_name_is_noticed(text: str) -> None:
    assert names_in(f"x = {text!r}") == [text]
    assert names_in(f'x = "of `{text}`"') == []


def test_names_are_derived_from_the_package_they_are_in() -> None:
    assert (PREFIX, ROOT) == ("", "tasks")
    assert all(step.module.startswith(f"{ROOT}.") for step in STEPS)
    assert source_digest("runs.steps") != source_digest("runs.run")
