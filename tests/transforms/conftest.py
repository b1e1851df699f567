from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.transforms.project import Warehouse


@pytest.fixture(scope="session")
def dbt_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for dbt's parse cache, kept for the session."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture
def warehouse(tmp_path: Path, dbt_target: Path) -> Callable[[str], Warehouse]:
    """Make an empty warehouse for a source."""

    def make(staging: str = "simulated") -> Warehouse:
        root = tmp_path / f"warehouse-{len(list(tmp_path.iterdir()))}"
        root.mkdir()
        return Warehouse(root, staging, dbt_target / staging)

    return make
