"""The kinds of sources, by the `type` of `source` in a pipeline file.

To add a source: a model with its `type` in `tasks.spec.parts`, a class that is a `Source`, and one function here that
opens it, with its line in `SOURCES`. Staging models of the name that the model calls `staging` do the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import SourceError
from tasks.sources.released_rows import ReleasedSource
from tasks.sources.source import Source
from tasks.spec.parts import FilesSource, Simulated, SqlSource
from tasks.store.files import Home

if TYPE_CHECKING:
    from tasks.spec.spec import Spec


def _open_simulated(declared: Simulated, home: Home, data: Path | None) -> Source:
    if data is not None:
        raise SourceError(f"--data {data}: the source of this pipeline is simulated and reads no folder; leave it out")
    # Inside, so that who lands files does not wait for the simulation to be imported; and a plain import, so that
    # the digest of the code, which follows imports, knows of it.
    from tasks.sources.simulation.service import Service
    from tasks.sources.simulation.source import SimulatedSource

    return SimulatedSource(Service(declared.users, declared.items, declared.seed))


def _open_files(declared: FilesSource, home: Home, data: Path | None) -> Source:
    from tasks.sources.datasets import load_dataset
    from tasks.sources.files.file_source import FileSource
    from tasks.sources.files.folders import open_folder

    name = declared.dataset
    dataset = load_dataset(name)
    if dataset.in_database:
        raise SourceError(
            f"transforms/datasets/{name}.yaml declares tables of a database; expected files for `type: files`; for "
            f"the database, write `source: {{type: sql, dataset: {name}, url_env: …}}`"
        )
    location = data or os.environ.get(f"MATINEE_DATA_{name.upper()}") or home.root / "data" / name
    return FileSource(dataset, open_folder(location, home))


def _open_sql(declared: SqlSource, home: Home, data: Path | None) -> Source:
    from tasks.sources.database.database_source import DatabaseSource
    from tasks.sources.datasets import load_dataset

    if data is not None:
        raise SourceError(f"--data {data}: the source of this pipeline is a database and reads no folder; leave it out")
    dataset = load_dataset(declared.dataset)
    if not dataset.in_database:
        raise SourceError(
            f"transforms/datasets/{dataset.name}.yaml declares files; expected tables of a database (`from`) for "
            "`type: sql`"
        )
    return DatabaseSource(dataset, declared.url_env)


SOURCES: dict[str, Callable[[Any, Home, Path | None], Source]] = {
    "simulated": _open_simulated,
    "files": _open_files,
    "sql": _open_sql,
}
"""Opens what a pipeline file declares, given the state folder and the folder of `--data`."""


def open_source(spec: Spec, home: Home, data: Path | None = None) -> Source:
    """Open the source that a pipeline names, with corrected rows that were released (`tasks.sources.released_rows`).

    Args:
        spec: the pipeline.
        home: its state; a data set's files are looked for in `<home>/data/<dataset>`
        data: unless this folder is given, or `MATINEE_DATA_<DATASET>` is set.

    Raises:
        SourceError: a folder is given to a source that reads none.
    """
    return ReleasedSource(SOURCES[spec.source.type](spec.source, home, data), home)
