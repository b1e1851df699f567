"""What dbt says is shortened to what a person acts on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import duckdb
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


def test_a_row_that_breaks_a_test_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among millions of rows, the number of those that are wrong finds none of them."""
    path = Home(tmp_path).warehouse(spec_of().name)
    path.parent.mkdir(parents=True)
    with duckdb.connect(path) as connection:
        connection.execute(
            "create table t as select * from (values ('b', 1e39), ('a', 1e16), ('c', 1)) as v(user_id, value)"
        )
    failed = result_of("values_are_usable", "fail", "Got 2 results, configured to fail if != 0")
    failed.node = SimpleNamespace(
        name="values_are_usable",
        resource_type="test",
        compiled_code="select * from t where value > 1e15",
        test_metadata=SimpleNamespace(kwargs={"expression": "value <= 1e15"}),
    )
    outcome = SimpleNamespace(exception=None, success=False, result=SimpleNamespace(results=[failed]))
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_: outcome)
    with pytest.raises(BuildError) as caught:
        run_dbt(spec_of(), Home(tmp_path), sql_of(spec_of()), tmp_path / "log")
    assert str(caught.value).splitlines()[1:] == [
        "  values_are_usable: fail: Got 2 results, configured to fail if != 0; expected value <= 1e15; found, for "
        "example: user_id = 'a', value = '1e+16'",
    ]
    failed.node.test_metadata = None  # a test that is a file of its own
    with pytest.raises(BuildError, match="!= 0; found, for example: user_id = 'a'"):
        run_dbt(spec_of(), Home(tmp_path), sql_of(spec_of()), tmp_path / "log")


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
