"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# No deadline: the first example pays for imports and compiled kernels, and test machines are busy.
settings.register_profile("matinee", deadline=None, max_examples=60)
settings.load_profile("matinee")
