"""The state folder that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.store.files import Home
from tests.tiny_pipelines import Tiny


@pytest.fixture
def home(bought: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A copy of a state folder whose day has been run and published, with the folder of its pipeline file."""
    monkeypatch.setenv("MATINEE_PIPELINES", str(bought.file.parent))
    return Home(bought.copied(tmp_path / "home").home)
