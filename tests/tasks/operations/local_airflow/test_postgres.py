"""The server of Airflow's metadata: found, created whole, for its user alone, and whole again after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from tasks.errors import StackError
from tasks.operations.local_airflow import metadata as metadata_module
from tasks.operations.local_airflow import postgres
from tasks.operations.local_airflow.metadata import metadata
from tasks.operations.local_airflow.postgres import Server, create, is_ready, programs, running
from tasks.operations.local_airflow.sockets import private_folder


@pytest.fixture(autouse=True)
def _no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATINEE_DATABASE", raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A server that has been created, in a folder with a space in its name."""
    home = tmp_path / "a home"
    server = Server(programs(), home / "airflow" / "postgres", private_folder(home / "airflow" / "sockets", home))
    assert create(server)
    return server


def rows(server: Server, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(server.url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


def test_it_is_created_once_and_ends_with_the_block(server: Server) -> None:
    assert create(server) is False
    with running(server, dict(os.environ)):
        assert rows(server, "select current_database()") == [("airflow",)]
        assert is_ready(server)
    assert not is_ready(server)


def test_it_listens_on_a_private_socket_only(server: Server) -> None:
    with running(server, dict(os.environ)):
        assert rows(server, "show listen_addresses") == [("",)]
        (socket,) = server.socket.glob(".s.PGSQL.*[0-9]")
        assert socket.stat().st_mode & 0o077 == 0
        assert server.socket.stat().st_mode & 0o077 == 0
        peers = [line for (line,) in rows(server, "select auth_method from pg_hba_file_rules where type = 'local'")]
        assert set(peers) == {"peer"}


def test_what_was_committed_is_there_after_kill_9(server: Server) -> None:
    log = server.data.with_name("killed.log").open("wb")
    killed = subprocess.Popen(server.command, stdout=log, stderr=log)
    limit = time.monotonic() + 60
    while not is_ready(server, killed.pid):
        assert time.monotonic() < limit
        time.sleep(0.05)
    rows(server, "create table t as select 1 as x")
    children = psutil.Process(killed.pid).children()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    psutil.wait_procs(children, timeout=30)  # they end by themselves; a new server waits for them
    log.close()
    with running(server, dict(os.environ)):
        assert rows(server, "select x from t") == [(1,)]


def test_half_a_database_is_never_taken_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    server = Server(programs(), home / "postgres", private_folder(home / "sockets", home))

    def killed(_command: list[str], _text: str = "") -> str:
        (home / f".postgres-{os.getpid()}").mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(postgres, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            create(server)
    assert not server.data.exists()
    assert create(server)
    assert [path.name for path in home.iterdir() if path.name.startswith(".postgres")] == []


def test_another_major_version_is_refused(server: Server) -> None:
    (server.data / "PG_VERSION").write_text("12\n", encoding="utf-8")
    with pytest.raises(StackError, match=r"made by PostgreSQL 12, but .* holds 18.*remove the folder to begin with"):
        create(server)


def test_what_keeps_it_from_starting_is_said(server: Server) -> None:
    (server.data / "postgresql.conf").write_text("nonsense = 1\n", encoding="utf-8")
    with (
        pytest.raises(StackError, match=r"PostgreSQL did not start:(?s:.*)nonsense"),
        running(server, dict(os.environ)),
    ):
        pass


def test_metadata_are_kept_by_our_own_server(tmp_path: Path) -> None:
    found = metadata(tmp_path)
    assert found.server is not None
    assert found.warning is None
    assert found.url.startswith("postgresql+psycopg2://")
    assert found.supervised()["MATINEE_POSTGRES_HERE"] == "true"


def test_a_server_that_somebody_else_runs_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://airflow:secret@db.example/airflow"
    monkeypatch.setenv("MATINEE_DATABASE", url)
    found = metadata(tmp_path)
    assert (found.url, found.server, found.supervised()["MATINEE_POSTGRES_HERE"]) == (url, None, "false")
    assert found.create() is False


def test_the_address_of_another_database_is_refused_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATINEE_DATABASE", "mysql://airflow:secret@db.example/airflow")
    with pytest.raises(StackError, match=r"^MATINEE_DATABASE: expected .* postgresql://user@host/database$"):
        metadata(tmp_path)


def test_without_a_server_sqlite_is_used_and_said_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> postgres.Programs:
        raise StackError("no PostgreSQL server: none here")

    monkeypatch.setattr(metadata_module, "programs", none)
    found = metadata(tmp_path)
    assert found.url == f"sqlite:///{tmp_path / 'airflow' / 'airflow.db'}"
    assert found.warning is not None
    assert "no PostgreSQL server: none here" in found.warning
    assert "may freeze" in found.warning
    assert found.create() is True
    assert found.settings()["database", "sql_alchemy_connect_args"] == "dags.sqlite_options.CONNECT"


@pytest.mark.parametrize("on_path", [False, True])
def test_the_wheel_is_not_the_only_source(on_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = programs().folder
    monkeypatch.setattr(postgres, "WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", f"{real if on_path else tmp_path}:/usr/bin:/bin")
    programs.cache_clear()
    try:
        if on_path:
            assert programs().folder == real
        else:
            monkeypatch.setattr(postgres.shutil, "which", lambda _: None)
            with pytest.raises(StackError, match="neither in this Python environment nor a `postgres` on PATH"):
                programs()
    finally:
        programs.cache_clear()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root cannot start a server itself")
def test_root_is_told_when_it_cannot_start_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2; exit 1\n", encoding="utf-8")
    unshare.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    programs.cache_clear()
    try:
        with pytest.raises(StackError, match=r"Operation not permitted\); run matinee as another user"):
            programs()
    finally:
        programs.cache_clear()
