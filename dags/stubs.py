"""A Python file for each pipeline file: what Airflow reads, since it knows nothing of YAML.

Airflow reports import errors per Python file, and schedules nothing from a file that has one. One file for
all pipelines would let a typo in one stop the others; so each `pipelines/<name>.yaml` gets a three-line
`<name>.py`, followed by the YAML as a comment, which the Code tab shows.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tasks.spec.project import PIPELINE_NAME, PREFIX

STUB = f'''"""Made from the pipeline file below; edit that file, not this one."""

from {PREFIX}dags.pipelines import pipeline_dag  # of Airflow

dag = pipeline_dag({{name!r}})

{{source}}'''
# Airflow skips files that do not mention it and a DAG, and would not show the error.
REFUSAL = f'''"""Made for a pipeline file whose name is no name of a pipeline: no DAG for Airflow."""

from {PREFIX}tasks.errors import SpecError

raise SpecError({{message!r}})
'''


def write_stubs(pipelines: Path, target: Path) -> None:
    """Write one Python file per pipeline file; safe to call from several processes at once.

    Args:
        pipelines: folder of the YAML files.
        target: folder of the Python files; other `.py` files in it are removed.
    """
    target.mkdir(parents=True, exist_ok=True)
    wanted = {target / _stub_name(path): _stub(path) for path in sorted(pipelines.glob("*.yaml"))}
    for path, text in wanted.items():
        # The DAG processor parses a file again whenever its time changes, so files that are right are not touched.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
    for path in set(target.glob("*.py")) - wanted.keys():
        path.unlink(missing_ok=True)


def _stub_name(path: Path) -> str:
    if PIPELINE_NAME.fullmatch(path.stem):
        return f"{path.stem}.py"
    # A name is data: it becomes neither code nor the name of a file that is imported.
    return f"refused_{hashlib.sha256(os.fsencode(path.stem)).hexdigest()[:12]}.py"


def _stub(path: Path) -> str:
    if not PIPELINE_NAME.fullmatch(path.stem):
        name = path.name.encode("utf-8", "replace").decode()
        message = f"{name!r}: no name of a pipeline; expected {PIPELINE_NAME.pattern} and .yaml, like my_shop.yaml"
        return REFUSAL.format(message=message)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:  # loading the file will say the same, as the import error of this pipeline alone
        lines = [str(error)]
    # A zero byte, say, is a syntax error even in a comment, and would hide what is wrong with the YAML.
    shown = ("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line) for line in lines)
    return STUB.format(name=path.stem, source="".join(f"# {line}".rstrip() + "\n" for line in shown))
