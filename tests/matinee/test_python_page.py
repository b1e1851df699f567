"""docs/python.md, executed cell by cell: what the page shows is what comes out."""

from __future__ import annotations

import ast
import doctest
import re
import shutil
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_pipelines import in_process, threads

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "python.md"
CELL = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """Code, and what the page shows below it."""

    code: str
    shown: str


def cells(text: str) -> list[Cell]:
    return [Cell(match["code"], match["shown"] or "") for match in CELL.finditer(text)]


def execute(code: str, names: dict[str, Any]) -> str:
    """Run a cell as a notebook does: what it prints, then what its last expression is."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        if (
            isinstance(last, ast.Expr)
            and (value := eval(compile(ast.Expression(last.value), "cell", "eval"), names)) is not None
        ):
            printed.write((value if isinstance(value, str) else repr(value)) + "\n")
    return printed.getvalue()


def differs(cell: Cell, came: str) -> str:
    """Compare as doctest does: white space counts once, `...` is anything; empty where they agree."""
    rules = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    checker, example = doctest.OutputChecker(), doctest.Example(cell.code, cell.shown)
    return (
        ""
        if checker.check_output(example.want if cell.shown else "", came, rules)
        else f"{cell.code}\nexpected\n{cell.shown}\ncame\n{came}"
    )


def test_a_cell_is_its_code_and_what_is_shown_below_it() -> None:
    text = "a\n\n```python\nx = 1\n```\n\nb\n\n```python\nx + 1\n```\n\n```text\n2\n```\n"
    assert cells(text) == [Cell("x = 1\n", ""), Cell("x + 1\n", "2\n")]
    names: dict[str, Any] = {}
    assert [differs(cell, execute(cell.code, names)) for cell in cells(text)] == ["", ""]
    assert differs(Cell("x\n", "2\n"), execute("x\n", names)) != ""
    assert differs(Cell("x\n", ""), execute("x\n", names)) != "", "what comes out is shown"


def test_the_page_has_cells_and_every_name_of_the_module() -> None:
    import matinee

    text = PAGE.read_text(encoding="utf-8")
    assert len(cells(text)) > 12
    assert [name for name in matinee.__all__ if name not in text] == []


@pytest.mark.slow
@in_process
def test_what_the_page_shows_is_what_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MATINEE_HOME", raising=False)
    names: dict[str, Any] = {}
    with threads(2):
        wrong = [
            found
            for cell in cells(PAGE.read_text(encoding="utf-8"))
            if (found := differs(cell, execute(cell.code, names)))
        ]
    assert wrong == [], "\n".join(wrong)
