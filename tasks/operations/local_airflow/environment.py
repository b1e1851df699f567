"""Airflow's configuration: environment variables only, made from the state folder and a port.

Nothing here imports airflow. Secrets are drawn once per state folder and kept in files that only its owner can read.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from tasks.errors import StackError
from tasks.operations.local_airflow.metadata import metadata
from tasks.operations.local_airflow.sockets import airflow_home, socket_path
from tasks.spec.project import PREFIX, TOOL, project

USER = "admin"
HEARTBEAT_LOST = 120  # seconds until Airflow restarts a killed task; its default of 300 s is a long wait
# While a component is killed and comes back, the others wait for it, as long as a start takes on a busy machine.
PATIENCE = {
    # Tasks of a killed scheduler are given to the next one; Airflow's default lets them wait for 300 s.
    ("scheduler", "orphaned_tasks_check_interval"): 30,
    ("database", "max_db_retries"): 12,
    # Up to 10 s apart, 5 s on average. By default a task gives up when the API has been away for 15 s.
    ("workers", "execution_api_retries"): 30,
    ("workers", "execution_api_retry_wait_max"): 10,
    ("workers", "execution_api_timeout"): 60,
}
BUNDLE = {"name": "pipelines", "classpath": f"{PREFIX}dags.bundle.PipelineBundle", "kwargs": {"refresh_interval": 10}}
LIBRARIES = {
    "SPT_NOENV": "1",  # process titles must leave the environment readable: `down` finds processes by it
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    # dbt leaves semaphores to the end of its process; a task's log would show that as two errors.
    "PYTHONWARNINGS": "ignore:resource_tracker",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
}


def bin_dir() -> Path:
    """Locate the programs of this Python environment (`airflow`, `supervisord`)."""
    return Path(sys.executable).parent


def _private_json(path: Path, first: dict[str, str]) -> dict[str, str]:
    """Read the JSON object in `path`; if there is none, write `first`, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        # O_EXCL: of two processes that start at once, one writes and the other reads the same secrets.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(first, stream)
            stream.write("\n")
    try:
        secret: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StackError(f"{path}: not valid JSON ({error}); remove it to have new secrets made") from None
    return secret


def password(home: Path) -> str:
    """Password of the one user, drawn at the first call."""
    return _private_json(airflow_home(home) / "passwords.json", {USER: secrets.token_urlsafe(12)})[USER]


def _keys(home: Path) -> dict[str, str]:
    first = {
        "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "jwt": secrets.token_hex(32),
        "session": secrets.token_hex(32),
    }
    return _private_json(airflow_home(home) / "keys.json", first)


def airflow_env(home: Path, port: int, *, scheduled: bool = True) -> dict[str, str]:
    """Make the environment of every process of the stack.

    Args:
        home: state folder (`MATINEE_HOME`), absolute.
        port: port of the UI and the API, on 127.0.0.1.
        scheduled: whether the scheduler starts runs by itself; `make run` wants only those it asks for.
    """
    url = f"http://127.0.0.1:{port}"
    password(home)  # Airflow would draw one of its own, and print it to a log
    settings = {
        **_secret_settings(home),
        **_place_settings(home, port),
        **metadata(home).settings(),
        ("core", "executor"): "LocalExecutor",
        ("core", "parallelism"): 4,  # idle memory: 0.55 GB with 4, 1.0 GB with 32
        ("core", "load_examples"): False,
        ("core", "simple_auth_manager_users"): f"{USER}:admin",
        ("core", "dagbag_import_error_tracebacks"): False,  # the message of a SpecError is complete
        ("core", "min_serialized_dag_update_interval"): 5,
        ("dag_processor", "dag_bundle_config_list"): json.dumps([BUNDLE]),
        ("dag_processor", "parsing_processes"): 1,
        ("dag_processor", "print_stats_interval"): 0,
        ("scheduler", "use_job_schedule"): scheduled,
        ("scheduler", "scheduler_idle_sleep_time"): 0.2,
        ("scheduler", "task_instance_heartbeat_timeout"): HEARTBEAT_LOST,
        **PATIENCE,
        ("logging", "uvicorn_logging_level"): "WARNING",
        ("logging", "colored_console_log"): False,
        ("logging", "namespace_levels"): "airflow.task.operators=WARNING",  # "Done. Returned value not shown"
        ("api", "default_wrap"): True,  # of the lines of a log
    }
    return {f"AIRFLOW__{section}__{key}".upper(): str(value) for (section, key), value in settings.items()} | {
        "AIRFLOW_HOME": str(airflow_home(home)),
        "MATINEE_HOME": str(home),
        "MATINEE_STACK": str(home),
        "MATINEE_URL": os.environ.get("MATINEE_URL") or url,
        "MATINEE_PROJECT": str(project()),
        **_import_path(),
        **LIBRARIES,
    }


def _import_path() -> dict[str, str]:
    # An installed wheel is found as it is; its folder on the path would give others our `tasks` and `dags`.
    paths = [] if PREFIX else [str(TOOL)]
    return {"PYTHONPATH": os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])}


def _secret_settings(home: Path) -> dict[tuple[str, str], Any]:
    keys = _keys(home)
    return {
        ("core", "fernet_key"): keys["fernet"],
        ("core", "simple_auth_manager_passwords_file"): airflow_home(home) / "passwords.json",
        ("api", "secret_key"): keys["session"],
        ("api_auth", "jwt_secret"): keys["jwt"],
    }


def _place_settings(home: Path, port: int) -> dict[tuple[str, str], Any]:
    """Settings of folders and addresses."""
    state = airflow_home(home)
    # An installed wheel announces its plugin itself, and Airflow refuses to have it twice.
    plugins = {} if PREFIX else {("core", "plugins_folder"): TOOL / "dags" / "plugins"}
    return {
        **plugins,
        ("core", "execution_api_server_url"): f"http://127.0.0.1:{port}/execution/",  # does not follow the port
        ("api", "host"): "127.0.0.1",  # Airflow's own default is 0.0.0.0
        ("api", "port"): port,
        ("dag_processor", "dag_bundle_storage_path"): state / "bundles",
        ("logging", "base_log_folder"): home / "logs" / "tasks",
        ("logging", "dag_processor_child_process_log_directory"): home / "logs" / "dag_processor",
    }


def full_env(home: Path, port: int, *, scheduled: bool = True) -> dict[str, str]:
    """Make the environment of a child process: ours, without the Airflow settings of the caller's shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    local = {  # requests to this machine must not go through a proxy
        "127.0.0.1",
        "localhost",
        *filter(None, kept.get("NO_PROXY", kept.get("no_proxy", "")).split(",")),
    }
    proxies = {name: ",".join(sorted(local)) for name in ("NO_PROXY", "no_proxy")}
    supervisor = {
        "MATINEE_BIN": str(bin_dir()),
        "MATINEE_PREFIX": PREFIX,
        "MATINEE_SOCKET": str(socket_path(home)),
        **metadata(home).supervised(),
    }
    return kept | proxies | airflow_env(home, port, scheduled=scheduled) | supervisor
