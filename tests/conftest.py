"""Settings of all tests, and the two tiny pipelines that have been run."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, SHOWN, SHOWN_DAY, Lines, Tiny, pipeline_file, shop

# No deadline: the first example pays for imports and compiled kernels, and test machines are busy.
settings.register_profile("matinee", deadline=None, max_examples=60)
settings.load_profile("matinee")


@pytest.fixture(autouse=True)
def _logger_as_it_was() -> Iterator[None]:
    """A test may call the command line, which lets the logger write to standard error."""
    log = logging.getLogger("matinee")
    before = log.handlers, log.propagate, log.level
    yield
    log.handlers, log.propagate = before[0], before[1]
    log.setLevel(before[2])


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A pipeline of impressions whose day has been run; don't change its home, copy it."""
    folder = tmp_path_factory.mktemp("shown")
    with Lines() as lines:
        tiny = Tiny(pipeline_file(folder, SHOWN), SHOWN_DAY, folder / "home", lines=lines)
        tiny.run()
    return tiny


@pytest.fixture(scope="session")
def bought(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A pipeline of snapshots of a shop's files whose day has been run; don't change its home, copy it."""
    folder = tmp_path_factory.mktemp("bought")
    with Lines() as lines:
        tiny = Tiny(pipeline_file(folder, BOUGHT), BOUGHT_DAY, folder / "home", shop(folder / "shop"), lines)
        tiny.run()
    return tiny
