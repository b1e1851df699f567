"""Imports that name our packages below a package, as an installed wheel has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.runs.import_root import PACKAGES, with_root, without_root
from tasks.spec.project import TOOL

FILES = sorted(path for package in PACKAGES for path in (TOOL / package).rglob("*.py"))


@pytest.mark.parametrize(
    ("clone", "wheel"),
    [
        ("from tasks.spec import load", "from matinee.tasks.spec import load"),
        ("from  engine import (\n    trees,\n)", "from  matinee.engine import (\n    trees,\n)"),
        ("x = 'ä'; import dags.steps as steps", "x = 'ä'; import matinee.dags.steps as steps"),
        ("import os, serving.app as a, tasks.x as b", "import os, matinee.serving.app as a, matinee.tasks.x as b"),
        ("def f():\r\n    from tasks import errors\r\n", "def f():\r\n    from matinee.tasks import errors\r\n"),
        ("from tasks import a; from tasks import b", "from matinee.tasks import a; from matinee.tasks import b"),
        ("from \\\n  os import path", "from \\\n  os import path"),
        ("from tasks_of_others import a", "from tasks_of_others import a"),
        ("from . import tasks", "from . import tasks"),
        ("text = '''\nfrom tasks import a\n'''", "text = '''\nfrom tasks import a\n'''"),
    ],
)
def test_imports_of_ours_are_changed_and_nothing_else(clone: str, wheel: str) -> None:
    assert with_root(clone.encode(), "matinee.").decode() == wheel
    assert without_root(wheel.encode(), "matinee.").decode() == clone
    assert without_root(clone.encode(), "") == clone.encode()


@pytest.mark.parametrize("text", ["import tasks", "import os\nimport tasks.errors"])
def test_an_import_that_binds_the_package_is_refused(text: str) -> None:
    line = len(text.splitlines())
    with pytest.raises(ValueError, match=rf"line {line}: import tasks.*: expected `from … import …`"):
        with_root(text.encode(), "matinee.")


def test_a_name_on_another_line_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: expected the name of the module on the line of `from`"):
        with_root(b"\nfrom \\\n  tasks import errors\n", "matinee.")


def test_every_module_comes_back_as_it_was() -> None:
    assert len(FILES) > 200
    for path in FILES:
        source = path.read_bytes()
        assert without_root(with_root(source, "matinee."), "matinee.") == source, path


MODULES = st.sampled_from(["tasks", "tasks.a.b", "engine", "os", "matinee", "tasksy", "json.decoder"])
LINES = st.one_of(
    st.builds("from {} import x".format, MODULES),
    st.builds("import {} as y".format, MODULES),
    st.builds("def f(): from {} import z, é".format, MODULES),
    st.builds("s = 'from {} import q'".format, MODULES),
)


@given(st.lists(LINES))
def test_taking_the_name_out_gives_what_was_there(lines: list[str]) -> None:
    source = "\n".join(lines).encode()
    assert without_root(with_root(source, "matinee."), "matinee.") == source
