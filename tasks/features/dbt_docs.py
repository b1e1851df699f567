"""The tables of a pipeline as dbt documents them: one page, made once for each state of the SQL, without network.

dbt parses the project; its page gets the manifest written into it, and a catalogue of the columns that the contracts
promise: what the warehouse holds is what they say, so it need not be opened. The page is a program (dbt's own); its
Content-Security-Policy lets it run, and fetch nothing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tasks.errors import BuildError
from tasks.features.build import code_of_tables
from tasks.features.dbt_run import dbt_vars
from tasks.runs.sql_lineage import sql_of
from tasks.spec.spec import Spec
from tasks.store.atomic import atomic_file, locked
from tasks.store.files import Home, read_json, safe_name

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
)
# One thread, because each page starts a dbt process: readers of several pipelines must wait their turn.
_workers = ThreadPoolExecutor(1, thread_name_prefix="sql-docs")
_making: dict[Path, Future[Path]] = {}


def docs_path(home: Home, spec: Spec) -> Path:
    """Where the page for the present state of a pipeline's SQL lies."""
    return home.root / "dbt" / "docs" / f"{safe_name(spec.name)}-{code_of_tables(spec).digest[:16]}.html"


def make_docs(home: Home, spec: Spec) -> Path:
    """Make the page, unless it is there; safe to call from several processes at once.

    Raises:
        BuildError: dbt could not read the project.
    """
    path = docs_path(home, spec)
    busy = "another process has been making this page for ten minutes; wait for it or end it, then try again"
    with locked(path.with_suffix(".lock"), busy, seconds=600, error=BuildError):
        if not path.exists():
            text = _page(_manifest(spec))
            for old in path.parent.glob(f"{spec.name}-*.html"):
                old.unlink()
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return path


def _manifest(spec: Spec) -> dict[str, Any]:
    """Let dbt parse the project, in a process and a folder of its own; no database is opened."""
    with tempfile.TemporaryDirectory(prefix="matinee-docs-") as folder:
        project = Path(folder) / "project"
        sql_of(spec).write(project)
        command = [
            # The dbt of this environment, not whichever comes first on the PATH.
            str(Path(sys.executable).parent / "dbt"), "--quiet", "--no-use-colors", "parse", "--no-partial-parse",
            "--project-dir", str(project), "--profiles-dir", str(project),
            "--target-path", folder, "--log-path", folder, "--vars", json.dumps(dbt_vars(spec), sort_keys=True),
        ]  # fmt: skip
        env = os.environ | {"MATINEE_WAREHOUSE_FILE": str(Path(folder) / "none.duckdb"), "DO_NOT_TRACK": "1"}
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stdout.strip() or done.stderr.strip()).splitlines()[-8:]
            raise BuildError("\n".join([f"dbt cannot read the SQL of {spec.name}:", *said]))
        manifest: dict[str, Any] = read_json(Path(folder) / "manifest.json")
        return manifest


def docs_catalog(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Dbt's catalogue of the columns that a manifest declares."""
    nodes = {}
    for key, node in manifest.get("nodes", {}).items():
        if node.get("resource_type") != "model" or not node.get("columns"):
            continue
        columns = {
            name: {"type": column.get("data_type") or "", "index": n, "name": name, "comment": None}
            for n, (name, column) in enumerate(node["columns"].items(), 1)
        }
        names = {"schema": node.get("schema"), "name": node.get("name"), "database": node.get("database")}
        about = {"type": node.get("config", {}).get("materialized"), "comment": None, "owner": None, **names}
        nodes[key] = {"metadata": about, "columns": columns, "stats": {}, "unique_id": key}
    return {"metadata": {}, "nodes": nodes, "sources": {}, "errors": None}


def _page(manifest: Mapping[str, Any]) -> str:
    from dbt.task.docs import DOCS_INDEX_FILE_PATH

    text = Path(DOCS_INDEX_FILE_PATH).read_text(encoding="utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    text = re.sub("<head>", lambda match: match.group() + policy, text, count=1)
    parts = {"MANIFEST.JSON INLINE DATA": manifest, "CATALOG.JSON INLINE DATA": docs_catalog(manifest)}
    for place, content in parts.items():
        if f'"{place}"' not in text:
            raise BuildError(f"dbt's page has no place {place!r}: another version of dbt than this was written for")
        # A `</script>` in a description would end the script element that holds the JSON.
        text = text.replace(f'"{place}"', json.dumps(content).replace("<", "\\u003c"))
    return text


def docs_or_begin(home: Home, spec: Spec) -> Path | None:
    """The page; None while it is being made, which the first call begins in the background.

    Raises:
        BuildError: the page could not be made; the next call tries again.
    """
    path = docs_path(home, spec)
    if path.exists():
        return path
    making = _making.get(path)
    if making is None:
        making = _making[path] = _workers.submit(make_docs, home, spec)
    if not making.done():
        return None
    del _making[path]
    return making.result()
