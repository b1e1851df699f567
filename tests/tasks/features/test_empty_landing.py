"""What `validate` says of a source's SQL before there are any data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import BuildError
from tasks.features import build, dbt_run
from tasks.features.empty_landing import CANONICAL, check_staging
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tests.copied_transforms import copied_transforms, edit
from tests.tasks.handmade import spec_of
from tests.tasks.without_dbt import SHOP
from tests.tiny_pipelines import in_process


def test_the_canonical_tables_are_built_elsewhere_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path]] = []

    def run_dbt(spec: Spec, home: Home, sql: object, log: Path, select: str) -> None:
        asked.append((select, home.root))
        assert home.warehouse(spec.name).exists()

    monkeypatch.setattr(build, "run_dbt", run_dbt)
    check_staging(spec_of(), Home(tmp_path))
    ((select, scratch),) = asked
    assert select == CANONICAL
    assert not scratch.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_thrown_away_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed:
        success, result, exception = False, None, RuntimeError("dbt found two macros named 'mine'")

    monkeypatch.setattr(dbt_run, "_invoke", lambda command, warehouse, log: Failed())
    with pytest.raises(BuildError) as error:
        check_staging(spec_of(), Home(tmp_path))
    said = str(error.value)
    assert said.startswith(f"the SQL build of {spec_of().name} failed:\n  dbt found two macros"), said
    assert "matinee-validate-" not in said


@in_process
@pytest.mark.slow
def test_a_column_that_staging_lacks_is_named_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, spec = copied_transforms(tmp_path, monkeypatch), spec_of(**SHOP)
    check_staging(spec, Home(tmp_path / "home"))
    edit(copy / "datasets" / "online_retail.yaml", "name: description, type", "name: text, type")
    with pytest.raises(BuildError, match=r"stg_lines: error: .*description"):
        check_staging(spec, Home(tmp_path / "home"))
