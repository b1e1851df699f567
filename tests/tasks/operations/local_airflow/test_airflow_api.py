"""What is read of Airflow's answers."""

from __future__ import annotations

from tasks.operations.local_airflow.airflow_api import _errors


def test_errors_are_found_in_a_task_log() -> None:
    log = [
        {"event": "::group::Log message source details", "sources": ["x"]},
        {"level": "info", "event": "Task started"},
        {"level": "error", "event": "prices: found -1"},
        {"level": "error", "event": "Task failed", "error_detail": [{"exc_type": "KeyError", "exc_value": "'a'"}]},
    ]
    assert list(_errors(log)) == ["prices: found -1", "Task failed\nKeyError: 'a'"]
