"""An Airflow DAG bundle that shows every pipeline file as a DAG file of its own.

Airflow reports import errors per Python file, and schedules nothing from a file that has one. One file for
all pipelines would let a typo in one stop the others; so each `pipelines/<name>.yaml` gets a three-line
`<name>.py` in the bundle, followed by the YAML as a comment, which the Code tab shows.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle

from tasks.spec.project import pipelines_folder

STUB = '''"""Made from pipelines/{name}.yaml (below); edit that file, not this one."""

from dags.pipelines import pipeline_dag  # of Airflow

dag = pipeline_dag({name!r})

{source}'''


class PipelineBundle(BaseDagBundle):  # type: ignore[misc,unused-ignore]
    """Presents `pipelines/*.yaml` as DAG files."""

    @property
    def path(self) -> Path:
        """Folder of the generated files."""
        return Path(self.base_dir)

    def initialize(self) -> None:
        """Write the files; called by the DAG processor and by every task."""
        self.refresh()
        super().initialize()

    def get_current_version(self) -> None:
        """Return nothing: pipeline files are not versioned by the bundle."""

    def refresh(self) -> None:
        """Bring the generated files in line with the pipeline files; files that are up to date are left alone."""
        write_stubs(pipelines_folder(), self.path)


def write_stubs(pipelines: Path, target: Path) -> None:
    """Write one Python file per pipeline file; safe to call from several processes at once.

    Args:
        pipelines: folder of the YAML files.
        target: folder of the Python files; other `.py` files in it are removed.
    """
    target.mkdir(parents=True, exist_ok=True)
    wanted = {target / f"{path.stem}.py": _stub(path) for path in sorted(pipelines.glob("*.yaml"))}
    for path, text in wanted.items():
        # The DAG processor parses a file again whenever its time changes, so files that are right are not touched.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
    for path in set(target.glob("*.py")) - wanted.keys():
        path.unlink(missing_ok=True)


def _stub(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:  # loading the file will say the same, as the import error of this pipeline alone
        lines = [str(error)]
    # A zero byte, say, is a syntax error even in a comment, and would hide what is wrong with the YAML.
    shown = ("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line) for line in lines)
    return STUB.format(name=path.stem, source="".join(f"# {line}".rstrip() + "\n" for line in shown))
