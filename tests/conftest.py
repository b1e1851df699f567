"""Settings of all tests, and the two tiny pipelines that have been run."""

from __future__ import annotations

import logging

import pytest
from hypothesis import settings

from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, SHOWN, SHOWN_DAY, Lines, Tiny, pipeline_file, shop

# No deadline: the first example pays for imports and compiled kernels, and test machines are busy.
settings.register_profile("matinee", deadline=None, max_examples=60)
settings.load_profile("matinee")


@pytest.fixture(autouse=True)
def _logger_of_its_own() -> None:
    """A test before may have called the command line, or imported Airflow, which sets the level of the root."""
    log = logging.getLogger("matinee")
    log.handlers, log.propagate = [logging.NullHandler()], True
    log.setLevel(logging.WARNING)


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
