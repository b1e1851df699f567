"""The command that serves a pipeline's published version over HTTP, on this machine."""

from __future__ import annotations

import os
import socket
import sys
from typing import Annotated

from tasks.cli.days import console
from tasks.cli.options import Pipeline
from tasks.cli.values import share, whole_number
from tasks.errors import MatineeError

ADDRESS = "127.0.0.1"


def serve(
    pipeline: Pipeline,
    port: Annotated[int, whole_number(1, 65535, meaning=f"Port on {ADDRESS}.")] = 8090,
    log_features: Annotated[
        float, share("--log-features", meaning="Of the users, whose answers are logged for `matinee skew`.")
    ] = 0.0,
) -> None:
    """Answer POST /rank, GET /health and GET /version with the version that the alias points at, and follow the alias.

    It listens on this machine only, and has no login: put it behind something that has one.

    Exit codes: 0 ended by Ctrl-C, 1 there is no version to serve, it is damaged, or the port is taken, 2 wrong usage.
    """
    from tasks.publishing.rank import find_version
    from tasks.spec.load import load_spec
    from tasks.spec.project import PREFIX, pipeline_path
    from tasks.store.home import existing_home

    spec, home = load_spec(pipeline_path(pipeline)), existing_home()
    alias = spec.publish.alias
    version = find_version(home, spec.name, alias, None)
    _require_free(port)
    console.print(f"{spec.name} {version} on http://{ADDRESS}:{port}; end it with Ctrl-C", highlight=False)
    console.print(
        f"""curl -s {ADDRESS}:{port}/rank -H 'content-type: application/json' -d '{{"user_id": "…"}}'""", soft_wrap=True
    )
    words = {
        "--registry": str(home.root / "registry"),
        "--pipeline": spec.name,
        "--alias": alias,
        "--host": ADDRESS,
        "--port": str(port),
        "--log-features": str(log_features),
    }
    # A program of its own rather than a call: serving imports nothing of `tasks`, and nothing here imports serving.
    program = [sys.executable, "-P", "-m", f"{PREFIX}serving.app", *(word for pair in words.items() for word in pair)]
    # exec, so that signals and the exit code are the application's own.
    os.execv(sys.executable, program)  # noqa: S606


def _require_free(port: int) -> None:
    """Refuse a port that somebody listens on, before the version is loaded.

    Raises:
        MatineeError: naming the port, and what to do.
    """
    with socket.socket() as listener:
        # As the application will: a port that was used until a moment ago is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, port))
        except OSError as error:
            raise MatineeError(f"port {port} of {ADDRESS}: {error.strerror}; name another one with --port") from None
