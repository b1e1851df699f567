"""What dbt says is shortened to what a person acts on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from dbt.cli.main import dbtRunner

from tasks.errors import BuildError
from tasks.features.dbt_run import run_dbt
from tasks.runs.sql_lineage import sql_of
from tasks.store.files import Home
from tests.tasks.handmade import spec_of

UNREADABLE = """Parsing Error
  Error reading matinee: intermediate.yml - Runtime Error
    Syntax error near line 175
    ------------------------------
    174|   - name: [
    175|  foo: bar: baz

    Raw Error:
    ------------------------------
    while parsing a flow sequence"""


def test_a_file_that_dbt_cannot_parse_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = SimpleNamespace(exception=RuntimeError(UNREADABLE), success=False, result=None)
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_: outcome)
    with pytest.raises(BuildError) as caught:
        run_dbt(spec_of(), Home(tmp_path), sql_of(spec_of()), tmp_path / "log")
    assert str(caught.value).splitlines()[1:] == [
        "  Parsing Error Error reading matinee: intermediate.yml - Runtime Error Syntax error near line 175",
    ]
