"""Screenshots of the live pages, at two sizes, light and dark, through Chromium if there is one."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from websockets.sync.client import ClientConnection, connect

from bench._live_stack import PIPELINE, LiveAirflow, wait_until

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
DRAWN = 4.0  # seconds that the pages, which fetch what they show, are given
COOKIE = "_token"
"""Name of the cookie in which Airflow keeps who is logged in."""


def pages(api: LiveAirflow) -> dict[str, str]:
    """Addresses of what an operator looks at, by name: the list, the grid, the last run that failed, our pages."""
    runs = api.all_runs()
    red = next((run for run in reversed(runs) if run.state == "failed"), runs[-1]).dag_run_id
    dag, run = f"/dags/{PIPELINE}", f"/dags/{PIPELINE}/runs/{quote(red, safe='')}"
    return {
        "home": "/",
        "dags": "/dags",
        "grid": dag,
        "run": run,
        "report": f"{run}/plugin/matinee-report",
        "days": f"{dag}/plugin/matinee-days",
        "log": f"{run}/tasks/land",
    }


@dataclass
class Browser:
    """A page of a browser, asked over its debugging protocol."""

    socket: ClientConnection
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Make a request, and wait for its answer; events in between are passed over."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer: dict[str, Any] = json.loads(self.socket.recv(timeout=60))
            if answer.get("id") == number:
                return dict(answer.get("result", {}))

    def shoot(self, url: str, size: tuple[int, int], scheme: str) -> bytes:
        """Open a page, and return its picture as PNG."""
        width, height = size
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Page.navigate", url=url)
        time.sleep(DRAWN)
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start a browser without a window and without anything of the user's."""
    with tempfile.TemporaryDirectory(prefix="matinee-browser-", ignore_cleanup_errors=True) as folder:
        options = ["--headless=new", "--no-sandbox", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
        process = subprocess.Popen(
            [program, *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            where = Path(folder) / "DevToolsActivePort"
            wait_until(where.exists, 60, f"{program} has started")
            port = where.read_text(encoding="utf-8").splitlines()[0]
            targets = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
            page = next(target for target in targets if target["type"] == "page")
            with connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
                yield Browser(socket)
        finally:
            process.kill()
            process.wait()


def take(api: LiveAirflow, folder: Path) -> str:
    """Take the pictures, and say how many; none without a browser."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        return f"no screenshots: none of {', '.join(BROWSERS)} is on PATH"
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    with browser(program) as window:
        window.ask("Network.setCookie", name=COOKIE, value=api.token(), domain=urlsplit(api.url).hostname, path="/")
        for (name, path), (size, pixels), scheme in itertools.product(pages(api).items(), SIZES.items(), SCHEMES):
            picture = window.shoot(f"{api.url}{path}", pixels, scheme)
            (folder / f"{name}-{size}-{scheme}.png").write_bytes(picture)
            number += 1
    return f"{number} screenshots in {folder}"
