"""The local stack: its configuration, its secrets, and that it leaves nothing behind."""

from __future__ import annotations

import configparser
import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.errors import StackError
from tasks.operations.local_airflow import environment, stack
from tasks.operations.local_airflow.airflow_api import Airflow
from tasks.operations.local_airflow.environment import airflow_env, full_env, password, socket_path
from tasks.operations.local_airflow.processes import end_idle_orphans, processes_of, supervisor_of, sweep
from tasks.spec.project import TOOL


def test_secrets_are_drawn_once_and_private(tmp_path: Path) -> None:
    first, second = airflow_env(tmp_path, 8080), airflow_env(tmp_path, 8080)
    assert first == second
    assert first["AIRFLOW__API_AUTH__JWT_SECRET"] != first["AIRFLOW__API__SECRET_KEY"]
    assert airflow_env(tmp_path / "other", 8080)["AIRFLOW__CORE__FERNET_KEY"] != first["AIRFLOW__CORE__FERNET_KEY"]
    for name in ("keys.json", "passwords.json"):
        assert stat.S_IMODE((tmp_path / "airflow" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "airflow").stat().st_mode) == 0o700


def test_password_file_is_the_one_airflow_reads(tmp_path: Path) -> None:
    env = airflow_env(tmp_path, 8080)
    path = Path(env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    assert json.loads(path.read_text(encoding="utf-8")) == {"admin": password(tmp_path)}
    assert env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin"


def test_torn_secrets_are_named(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "keys.json").write_text("{", encoding="utf-8")
    with pytest.raises(StackError, match=r"keys\.json: not valid JSON .* remove it to have new secrets made"):
        airflow_env(tmp_path, 8080)


def test_every_address_has_the_port_and_stays_on_this_machine(tmp_path: Path) -> None:
    env = airflow_env(tmp_path, 8123)
    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW__API__PORT"] == "8123"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"


LEAVES_A_SEMAPHORE = "import multiprocessing, os; lock = multiprocessing.get_context('spawn').Lock(); os._exit(0)"


@pytest.mark.parametrize("in_the_stack", [True, False])
def test_what_dbt_leaves_to_the_end_of_its_process_is_no_error_in_a_log(in_the_stack: bool, tmp_path: Path) -> None:
    """Airflow ends a task's process at once, and shows what is written to standard error as errors of the task."""
    # Without the variable that tests of DAGs have set for this whole process.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    env |= airflow_env(tmp_path, 8080) if in_the_stack else {}
    # The tracker is a process of its own, which ends last: until then it keeps the pipe open.
    done = subprocess.run(
        [sys.executable, "-c", LEAVES_A_SEMAPHORE], env=env, capture_output=True, text=True, check=True
    )
    assert ("resource_tracker: There appear to be 1 leaked semaphore" in done.stderr) is not in_the_stack
    assert not in_the_stack or done.stderr == ""


def test_settings_exist_in_this_airflow(tmp_path: Path) -> None:
    """A misspelled variable would be ignored without a word."""
    import importlib.util

    import yaml

    spec = importlib.util.find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "config_templates" / "config.yml"
    known = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    for name in airflow_env(tmp_path, 8080):
        if name.startswith("AIRFLOW__"):
            _, section, key = name.lower().split("__")
            assert key in known[section]["options"], name


def test_callers_airflow_settings_do_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__SMTP__SMTP_HOST", "example.org")
    monkeypatch.setenv("NO_PROXY", "intranet")
    env = full_env(tmp_path, 8080)
    assert env["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW__SMTP__SMTP_HOST" not in env
    assert set(env["NO_PROXY"].split(",")) == {"intranet", "127.0.0.1", "localhost"}


def test_a_stack_works_on_the_project_of_who_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "shop" / "pipelines").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "shop")
    env = full_env(tmp_path, 8080)
    assert env["MATINEE_PROJECT"] == str(tmp_path / "shop")
    assert (env["PYTHONPATH"], env["MATINEE_PREFIX"]) == (str(TOOL), "")
    assert env["AIRFLOW__CORE__PLUGINS_FOLDER"] == str(TOOL / "dags" / "plugins")


def test_the_stack_of_a_wheel_shows_nobody_the_folders_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    monkeypatch.setattr(environment, "PREFIX", "matinee.")
    env = full_env(tmp_path, 8080)
    assert (env["PYTHONPATH"], env["MATINEE_PREFIX"]) == ("/theirs", "matinee.")
    assert "AIRFLOW__CORE__PLUGINS_FOLDER" not in env, "its entry point announces the plugin"


def test_socket_name_always_fits(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = socket_path(deep)
    assert len(str(path)) < 100
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path == socket_path(deep)
    assert path != socket_path(deep.parent)
    path.parent.rmdir()


def test_supervisor_runs_the_components_the_watch_and_the_keeper_and_ends_their_children() -> None:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(TOOL / "supervisord.conf", encoding="utf-8")
    programs = [name.removeprefix("program:") for name in parser.sections() if name.startswith("program:")]
    assert programs == ["postgres", *stack.COMPONENTS, "watch", "keeper"]
    # Of two groups the one with the higher number ends first, and its programs need the database until then.
    assert int(parser["group:airflow"]["priority"]) > int(parser["program:postgres"]["priority"])
    assert parser["program:postgres"]["stopsignal"] == "INT"
    programs.remove("postgres")
    for name in programs:
        section = parser[f"program:{name}"]
        assert (section["autorestart"], section["stopasgroup"], section["killasgroup"]) == ("true",) * 3
        assert name in section["command"]
        # A database that recovers, or a busy machine, must not use up the tries: nobody would start it again.
        assert int(section["startretries"]) >= 20


def test_supervisor_accepts_the_file(tmp_path: Path) -> None:
    """supervisord reads and expands it, paths with spaces and signs included."""
    home = tmp_path / "a home; 'this', \"that\" and more"
    (home / "logs").mkdir(parents=True)
    code = (
        "import sys; from supervisor.options import ServerOptions\n"
        "o = ServerOptions(); o.realize(['-c', sys.argv[1]])\n"
        "print(*sorted(p.name for g in o.process_group_configs for p in g.process_configs))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(TOOL / "supervisord.conf")],
        env=full_env(home, 8080),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == sorted([*stack.COMPONENTS, "postgres", "watch", "keeper"]), done.stderr


def test_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StackError, match=r"port \d+ is taken on 127\.0\.0\.1; choose another one with --port"):
            stack.up(tmp_path, taken.getsockname()[1])


def test_home_that_supervisord_cannot_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="supervisord takes '%' for a variable; expected folders without it"):
        stack.up(tmp_path / "100 %")


def test_nothing_runs_in_a_new_home(tmp_path: Path) -> None:
    assert stack.find(tmp_path) is None
    assert stack.status(tmp_path).running is False
    assert stack.down(tmp_path) is False


def test_old_pid_file_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "supervisord.pid").write_text(str(os.getpid()), encoding="utf-8")
    (tmp_path / "airflow" / "stack.json").write_text('{"port": 8080}', encoding="utf-8")
    assert stack.find(tmp_path) is None
    assert stack.down(tmp_path) is False


def test_sweep_ends_only_processes_of_this_home(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    # A task leads a process group of its own, as Airflow's do.
    ours = subprocess.Popen(sleep, env=full_env(tmp_path, 8080), start_new_session=True)
    other = subprocess.Popen(sleep, env=full_env(tmp_path / "other", 8080))
    try:
        _until(lambda: {ours.pid} <= {process.pid for process in processes_of(tmp_path)})
        assert sweep(tmp_path) == 1
        assert not psutil.pid_exists(ours.pid)
        assert other.poll() is None
    finally:
        ours.kill()
        other.kill()
        ours.wait()
        other.wait()


def test_idle_workers_of_a_killed_scheduler_are_ended(tmp_path: Path) -> None:
    """Those of a living one, and those that still have a task, are left alone."""
    worker = (
        "import sys, time; from setproctitle import setproctitle; "
        "setproctitle('airflow worker -- LocalExecutor: ' + sys.argv[1]); time.sleep(60)"
    )
    parent = (
        "import subprocess, sys, time; c = [sys.executable, '-c', sys.argv[1]]\n"
        "for title in ('<idle>', 'a task'): print(subprocess.Popen([*c, title]).pid, flush=True)\n"
        "time.sleep(60 if sys.argv[2] == 'lives' else 1)"
    )
    schedulers = {
        kind: subprocess.Popen(
            [sys.executable, "-c", parent, worker, kind],
            env=full_env(tmp_path, 8080),
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in ("lives", "dies")
    }
    pids: dict[str, list[int]] = {}
    try:
        for kind, scheduler in schedulers.items():
            assert scheduler.stdout is not None
            pids[kind] = [int(scheduler.stdout.readline()) for _ in range(2)]
        titled = [pid for both in pids.values() for pid in both]
        _until(lambda: all("LocalExecutor" in str(psutil.Process(pid).cmdline()) for pid in titled))
        schedulers["dies"].wait()
        assert end_idle_orphans(tmp_path) == 1
        _until(lambda: not _alive(pids["dies"][0]))
        assert all(_alive(pid) for pid in [pids["dies"][1], *pids["lives"]])
    finally:
        sweep(tmp_path)
        for scheduler in schedulers.values():
            scheduler.wait()
            assert scheduler.stdout is not None
            scheduler.stdout.close()


def _is_keeper(process: psutil.Process) -> bool:
    try:
        return "keeper" in " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return False


def _until(condition: object, timeout: float = 10) -> None:
    limit = time.monotonic() + timeout
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_unreachable_server_is_said_so(tmp_path: Path) -> None:
    api = Airflow(tmp_path, 9)
    assert api.health() == {}
    with pytest.raises(StackError, match=r"http://127.0.0.1:9 does not answer"):
        api.ensure_pools()
    api.close()


@pytest.mark.slow
def test_up_and_down_leave_no_process(tmp_path: Path) -> None:
    """The real stack: healthy, its pool there, an anonymous caller refused; back after a kill -9; then gone."""
    import httpx

    started = stack.up(tmp_path)
    try:
        assert stack.status(tmp_path).healthy
        api = Airflow(tmp_path, started.port)
        assert api._ask("GET", "/pools/streaming.tables")["slots"] == 1
        api.ensure_pools()
        api.close()
        assert httpx.get(f"{started.url}/api/v2/dags", trust_env=False).status_code == 401
        again = stack.up(tmp_path)
        assert (again.port, again.started) == (started.port, False)
        pids = {process.pid for process in processes_of(tmp_path)}
        supervisor = supervisor_of(tmp_path)
        assert supervisor is not None
        assert len(pids) >= 8
        supervisor.kill()
        # For a moment after the kill the components still answer.
        _until(lambda: supervisor_of(tmp_path) not in (None, supervisor) and stack.status(tmp_path).healthy, 300)
        back = supervisor_of(tmp_path)
        assert back is not None
        assert not any(_alive(pid) for pid in pids), "the old components would fight with the new ones"
        # Its keeper is killed, too: the supervisor starts another one.
        keeper = next(child for child in back.children() if _is_keeper(child))
        keeper.kill()
        _until(lambda: any(_is_keeper(child) and child != keeper for child in back.children()), 30)
        assert stack.down(tmp_path)
    finally:
        stack.down(tmp_path)
    assert list(processes_of(tmp_path)) == []
    assert stack.find(tmp_path) is None


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
