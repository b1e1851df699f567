"""Tests that take many minutes each run if they are asked for: `MATINEE_THOROUGH=1`."""

from __future__ import annotations

import os

import pytest

THOROUGH = bool(os.environ.get("MATINEE_THOROUGH"))
thorough = pytest.mark.skipif(not THOROUGH, reason="takes many minutes: set MATINEE_THOROUGH=1")
