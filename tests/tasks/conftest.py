"""Fixtures of several rooms: an empty state folder, and a run in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.store.files import Home
from tests.tasks.checking import FakeRun


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty state folder."""
    return Home(tmp_path)


@pytest.fixture
def run(home: Home) -> FakeRun:
    """A run that has done nothing yet."""
    return FakeRun(home)
