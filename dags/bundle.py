"""An Airflow DAG bundle that shows every pipeline file as a DAG file of its own."""

from __future__ import annotations

from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle

from dags.stubs import write_stubs
from tasks.spec.project import pipelines_folder


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
