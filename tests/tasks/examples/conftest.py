"""What tests of the sample's SQL share."""

from __future__ import annotations

import pytest

from tasks.spec import resolved_features
from tests.tasks.handmade import small_catalog


@pytest.fixture
def small_marts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marts of few features, so that their tables can be written by hand."""
    monkeypatch.setattr(resolved_features, "feature_catalog", small_catalog)
