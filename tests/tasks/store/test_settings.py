"""What a process may take is read from the environment, and a wrong value is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.spec.project import TOOL
from tasks.store.database import memory
from tasks.store.settings import (
    NAMES,
    disk_limit,
    memory_limit,
    statement_seconds,
    threads,
    training_threads,
    trainings,
    unknown,
)


@pytest.mark.parametrize("text", ["two", "0", "-1", "1.5", "1_0", "٢", "99999", " 2"])
def test_threads_that_are_no_number_are_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_THREADS", text)
    with pytest.raises(MatineeError, match=f"^MATINEE_THREADS: found {re.escape(repr(text))}, expected a whole number"):
        threads()


def test_trainings_that_are_no_number_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_TRAININGS", "many")
    with pytest.raises(MatineeError, match=r"^MATINEE_TRAININGS: found 'many', expected a whole number from 1 to 1024"):
        trainings()


@pytest.mark.parametrize(
    ("cores", "allowed", "at_once", "each"), [(8, 4, 1, 4), (8, 4, 4, 2), (8, 16, 1, 8), (2, 2, 4, 1), (None, 2, 1, 1)]
)
def test_trainings_at_the_same_time_have_a_core_for_each_thread(
    cores: int | None, allowed: int, at_once: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    monkeypatch.setenv("MATINEE_THREADS", str(allowed))
    monkeypatch.setenv("MATINEE_TRAININGS", str(at_once))
    assert training_threads() == each


@pytest.mark.parametrize("text", ["soon", "0", "-1", "1.5", "86401", "10m", "999999"])
def test_a_time_out_that_is_no_number_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_STATEMENT_TIMEOUT", text)
    with pytest.raises(MatineeError, match=f"^MATINEE_STATEMENT_TIMEOUT: found {re.escape(repr(text))}, expected a"):
        statement_seconds()


@pytest.mark.parametrize("text", ["lots", "10KB", "0GB", "4", "GB", "4 apples", "-4GB", "4XB", "1e3GB", "80%"])
def test_memory_that_is_no_size_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_MEMORY_LIMIT", text)
    with pytest.raises(MatineeError, match=f"^MATINEE_MEMORY_LIMIT: found {re.escape(repr(text))}, expected "):
        memory_limit()


def test_a_disk_that_is_no_size_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_TEMP_LIMIT", "much")
    with pytest.raises(MatineeError, match=r"^MATINEE_TEMP_LIMIT: found 'much', expected a size"):
        disk_limit()


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4 * 10**9), ("512MiB", 2**29), ("1.5 gib", 3 * 2**29), ("", 4 * 10**9)]
)
def test_sizes_have_the_units_of_duckdb(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_MEMORY_LIMIT", text)
    assert memory_limit() == size


def test_a_wrong_limit_is_not_a_damaged_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MATINEE_THREADS", "two")
    with pytest.raises(MatineeError, match="MATINEE_THREADS"), memory():
        pass


def test_a_mistyped_name_is_said_with_the_nearest() -> None:
    found = unknown(["MATINEE_THREAD", "MATINEE_HOME", "MATINEE_DATA_SHOP", "PATH", "MATINEE_XYZ"])
    assert found == [
        "MATINEE_THREAD: nothing reads this variable; did you mean MATINEE_THREADS?",
        "MATINEE_XYZ: nothing reads this variable",
    ]


def test_every_variable_of_code_and_compose_file_is_known() -> None:
    files = [
        *(path for room in ("tasks", "engine", "serving", "dags") for path in (TOOL / room).rglob("*.py")),
        *(TOOL / name for name in ("docker-compose.yml", "Dockerfile", "supervisord.conf", ".env.example")),
        TOOL / "transforms" / "profiles.yml",
    ]
    named = {
        name
        for path in files
        if Path(path).exists()
        for name in re.findall(r"MATINEE_[A-Z_]*[A-Z]", path.read_text("utf-8"))
    }
    assert named - {"MATINEE_DATA"} <= NAMES
