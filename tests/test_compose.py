"""docker-compose.yml, checked without an engine: what it names exists, and no secret is in it."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import StackError
from tasks.operations.local_airflow.compose_setup import commands, main, write_passwords
from tasks.operations.local_airflow.environment import PATIENCE, airflow_env, bin_dir
from tasks.operations.pools import pools
from tasks.spec.project import TOOL

TEXT = (TOOL / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if name != "postgres"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[?-][^}]*)?\}")


def test_services() -> None:
    assert set(SERVICES) == {"postgres", "setup", "api-server", "scheduler", "dag-processor", "watch", "serving"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_one_image_and_the_state_volume(name: str) -> None:
    assert SERVICES[name]["image"] == "matinee:local"
    assert SERVICES[name]["volumes"] == ["state:/state"]
    assert {mount.split(":")[0] for mount in SERVICES[name]["volumes"]} <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_dependencies_exist_and_can_be_met(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", ["postgres", "api-server", "scheduler", "dag-processor", "watch", "serving"])
def test_what_stays_up_has_a_healthcheck(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_ports_are_bound_to_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:${MATINEE_PORT:-8080}:8080", "127.0.0.1:${MATINEE_SERVING_PORT:-8090}:8090"]


def test_secrets_come_from_the_environment_only() -> None:
    secret = re.compile(r"PASSWORD$|SECRET|FERNET_KEY|SQL_ALCHEMY_CONN")
    for service in SERVICES.values():
        for key, value in service["environment"].items():
            if secret.search(key):
                assert VARIABLE.search(value), f"{key} is written out"
                assert ":?" in value, f"{key} may be empty"


def test_what_pipelines_name_reaches_every_container_of_ours() -> None:
    """`url_env` names a variable, and credentials of buckets are variables; none of them is a setting of Airflow's."""
    for name, service in OURS.items():
        assert service["env_file"] == [{"path": "${MATINEE_ENV_FILE:-sources.env}", "required": False}], name
    assert "env_file" not in SERVICES["postgres"]
    ignored = (TOOL / ".gitignore").read_text(encoding="utf-8").split()
    assert "/sources.env" in ignored
    assert "sources.env" in (TOOL / ".dockerignore").read_text(encoding="utf-8").split()


def test_every_variable_is_in_the_example_and_back() -> None:
    example = (TOOL / ".env.example").read_text(encoding="utf-8")
    names = {match[1] for match in VARIABLE.finditer(TEXT)}
    assert names == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert re.findall(r"^[A-Z_]*(?:PASSWORD|SECRET|KEY)=(.+)$", example, re.MULTILINE) == []


def test_settings_are_those_of_the_local_stack(tmp_path: Path) -> None:
    """Both ways of running mean the same; only places, the database and the host differ."""
    local = airflow_env(tmp_path, 8080)
    composed = SERVICES["scheduler"]["environment"]
    assert {name for name in composed if name.startswith("AIRFLOW")} <= set(local)
    logs = ("NAMESPACE_LEVELS", "DEFAULT_WRAP", "PYTHONWARNINGS")
    same = ("PARALLELISM", "EXECUTOR", "LOAD_EXAMPLES", "HEARTBEAT_TIMEOUT", "AUTH_MANAGER_USERS", *logs)
    assert {f"AIRFLOW__{section}__{key}".upper() for section, key in PATIENCE} <= set(composed)
    assert {name for name in local if name.endswith(logs)} <= set(composed)
    same += tuple(key.upper() for _, key in PATIENCE)
    for name in composed:
        if name.endswith(same):
            assert composed[name] == local[name], name
    bundles = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
    assert json.loads(composed[bundles]) == json.loads(local[bundles])


def test_the_plugins_of_the_image_are_those_of_the_project() -> None:
    folder = Path(COMPOSE["services"]["api-server"]["environment"]["AIRFLOW__CORE__PLUGINS_FOLDER"])
    assert (TOOL / folder.relative_to("/opt/matinee") / "matinee_plugin.py").is_file()


def test_airflow_knows_the_commands(tmp_path: Path) -> None:
    """Its parser reads each line; nothing is run."""
    lines = commands()
    for service in OURS.values():
        lines += [service["command"], service.get("healthcheck", {}).get("test", [""])[1:]]
    lines = [line[1:] for line in lines if line and line[0] == "airflow"]
    assert len(lines) == 6 + len(pools())
    code = (
        "import json, sys; from airflow.cli.cli_parser import get_parser\n"
        "for line in json.loads(sys.argv[1]): assert callable(get_parser().parse_args(line).func)"
    )
    command = [bin_dir() / "python", "-W", "ignore", "-c", code, json.dumps(lines)]
    done = subprocess.run(command, env=airflow_env(tmp_path, 8080), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_serving_knows_its_command() -> None:
    """Its parser reads the line, and goes on to look for the registry, which is not there."""
    command = [VARIABLE.sub("streaming", word) for word in SERVICES["serving"]["command"]]
    done = subprocess.run(
        [bin_dir() / "python", *command[1:]], cwd=TOOL, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "/state/registry" in done.stderr
    assert "Traceback" not in done.stderr


def test_image_copies_what_exists_and_runs_without_rights() -> None:
    lines = (TOOL / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    assert all((TOOL / name).exists() for name in copied)
    assert [line for line in lines if line.startswith("USER")] == ["USER matinee"]
    assert {".git", ".venv", ".env", "var"} <= set((TOOL / ".dockerignore").read_text(encoding="utf-8").split())


def test_password_file_is_private_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "airflow" / "passwords.json"
    write_passwords(path, "one")
    write_passwords(path, 'two "quoted"')
    assert json.loads(path.read_text(encoding="utf-8")) == {"admin": 'two "quoted"'}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_setup_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MATINEE_ADMIN_PASSWORD", raising=False)
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", "/nowhere")
    with pytest.raises(StackError, match=r"not set: MATINEE_ADMIN_PASSWORD; see \.env\.example"):
        main()
