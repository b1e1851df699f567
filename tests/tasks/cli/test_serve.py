"""`matinee serve`: what it starts, what it refuses before, and that what it starts answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from engine.descriptor import read_descriptor
from tasks.cli.main import app
from tasks.errors import MatineeError, RegistryError
from tasks.store.files import Home
from tasks.store.registry import move_alias, version_dir
from tests.engine.tiny import publish
from tests.tasks.handmade import day, published
from tests.tiny_pipelines import SHOWN, pipeline_file

VERSION = "2026-01-18.00000001"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pipeline whose alias `live` points at a version."""
    home = Home(tmp_path / "home")
    folder = version_dir(home, "shown", VERSION)
    publish(folder, {"version": VERSION, "pipeline": "shown"})
    content = read_descriptor(folder).content
    move_alias(home, "shown", published(VERSION, day("01-18"), alias="live", content=content))
    monkeypatch.setenv("MATINEE_HOME", str(home.root))
    return pipeline_file(tmp_path, SHOWN, publish={"alias": "live"})


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


def test_it_becomes_the_application_on_this_machine(file: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("tasks.cli.serve._require_free", lambda port: None)
    monkeypatch.setattr(os, "execv", lambda program, words: started.append(words))
    done = CliRunner().invoke(app, ["serve", str(file), "--port", str(port), "--log-features", "0.01"])
    assert done.exit_code == 0, done.output
    registry = str(file.parent / "home" / "registry")
    assert started == [
        [
            sys.executable, "-P", "-m", "serving.app", "--registry", registry, "--pipeline", "shown", "--alias", "live",
            "--host", "127.0.0.1", "--port", str(port), "--log-features", "0.01",
        ]
    ]  # fmt: skip
    assert f"shown {VERSION} on http://127.0.0.1:{port}" in done.output


@pytest.mark.parametrize(
    "words", [["--port", "0"], ["--port", "70000"], ["--log-features", "nan"], ["--log-features", "1.5"], ["--fast"]]
)
def test_wrong_options_end_with_2(file: Path, words: list[str]) -> None:
    assert CliRunner().invoke(app, ["serve", str(file), *words]).exit_code == 2


def test_a_port_that_is_taken_is_named(file: Path, port: int) -> None:
    # The fixture holds the port.
    error = CliRunner().invoke(app, ["serve", str(file), "--port", str(port)]).exception
    assert isinstance(error, MatineeError)
    assert str(error) == f"port {port} of 127.0.0.1: Address already in use; name another one with --port"


def test_nothing_published_is_said_with_the_next_step(file: Path) -> None:
    other = pipeline_file(file.parent, SHOWN, name="other")
    error = CliRunner().invoke(app, ["serve", str(other)]).exception
    assert isinstance(error, RegistryError)
    assert "run `matinee run other --as-of …` first" in str(error)


def test_what_it_starts_answers_until_it_is_told_to_stop(file: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-P", "-m", "tasks.cli", "serve", str(file), "--port", str(port)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            url, answer = f"http://127.0.0.1:{port}", None
            while answer is None and process.poll() is None:
                try:
                    answer = httpx.post(f"{url}/rank", json={"user_id": "ana", "k": 2}, timeout=30)
                except httpx.ConnectError:
                    time.sleep(0.2)
            assert answer is not None
            assert answer.json()["version"] == VERSION
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
        assert process.stdout is not None
        assert process.stdout.read().startswith(f"shown {VERSION} on {url}; end it with Ctrl-C\n")
