"""Fixtures that tests of several rooms share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.store.files import Home

if TYPE_CHECKING:
    from tests.tasks.checking import FakeRun


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty state folder."""
    return Home(tmp_path)


@pytest.fixture
def run(home: Home) -> FakeRun:
    """A run that has left nothing yet."""
    from tests.tasks.checking import FakeRun

    return FakeRun(home)
