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


def result_of(name: str, status: str, message: str) -> SimpleNamespace:
    node = SimpleNamespace(name=name, resource_type="model")
    return SimpleNamespace(node=node, status=status, execution_time=0.1, adapter_response={}, message=message)


def test_what_was_skipped_because_of_a_failure_is_a_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = result_of("stg_users", "error", 'Referenced column "plan" not found')
    skipped = [result_of(name, "skipped", "Skip") for name in ("users", "feat_users")]
    outcome = SimpleNamespace(exception=None, success=False, result=SimpleNamespace(results=[failed, *skipped]))
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_: outcome)
    with pytest.raises(BuildError) as caught:
        run_dbt(spec_of(), Home(tmp_path), sql_of(spec_of()), tmp_path / "log")
    assert str(caught.value).splitlines()[1:] == [
        '  stg_users: error: Referenced column "plan" not found',
        "  2 models and tests that depend on it did not run",
    ]
