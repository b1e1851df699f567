"""Local sinks that can be killed: an SMTP server and a webhook that append what they take to a file.

`python -m tests.receivers smtp|webhook <port> <file>` serves until it is killed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def keep(path: Path, title: str, body: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"title": title, "body": body}) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def smtp(port: int, path: Path) -> None:
    from aiosmtpd.controller import Controller

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
            mail = message_from_bytes(envelope.content, policy=policy.default)
            part = mail.get_body(preferencelist=("plain", "html"))
            keep(path, str(mail["subject"]), part.get_content() if part is not None else "")
            return "250 taken"

    Controller(Handler(), hostname="127.0.0.1", port=port).start()
    signal.pause()


def webhook(port: int, path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            keep(path, sent["title"], sent["message"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Receiver:
    """A sink of one kind on one port; what it has received outlives it."""

    kind: str
    path: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        if self.kind == "smtp":
            return f"mailto://127.0.0.1:{self.port}?from=matinee@example.org&to=team@example.org"
        return f"json://127.0.0.1:{self.port}/hook"

    def start(self) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "tests.receivers", self.kind, str(self.port), str(self.path)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).resolve().parent.parent)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"{self.kind} does not listen on {self.port}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def titles(self) -> list[str]:
        return sorted(taken["title"] for taken in self.taken)

    @property
    def taken(self) -> list[dict[str, str]]:
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    {"smtp": smtp, "webhook": webhook}[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
