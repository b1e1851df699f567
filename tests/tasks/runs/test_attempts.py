"""Folder names of attempts, made from Airflow's run ids."""

from __future__ import annotations

import pytest

from tasks.runs.attempts import attempt_of
from tasks.store.files import safe_name

ATTEMPTS = """\
backfill__2026-01-31T00:00:00+00:00 → backfill__2026-01-31T000000Z
manual__2026-01-31T09:12:13.123456+00:00 → manual__2026-01-31T091213.123456Z
manual__2026-01-31 → manual__2026-01-31
../../etc → etc
a b/ü~ → a-b---
.. → run"""


@pytest.mark.parametrize("line", ATTEMPTS.splitlines())
def test_attempts_are_safe_folder_names(line: str) -> None:
    run_id, attempt = line.split(" → ")
    assert attempt_of(run_id) == attempt
    assert safe_name(attempt) == attempt
