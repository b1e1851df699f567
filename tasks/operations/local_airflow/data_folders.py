"""The folder that a pipeline's files are read from: whether it reads one, and which one a running Airflow reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import StackError, WrongArgument
from tasks.sources.files.folders import url_of
from tasks.spec.project import PREFIX, stack_command

if TYPE_CHECKING:
    from tasks.spec.spec import Spec


def refuse_unread_folder(spec: Spec, data: Path | None) -> None:
    """Refuse a folder for a source that reads none.

    Raises:
        WrongArgument: naming the pipeline, its source, and what to do.
    """
    if data is not None and spec.source.type != "files":
        raise WrongArgument(
            f"--data {data}: the source of {spec.name} is {spec.source.type} and reads no folder; leave it out, or "
            "name a pipeline whose source is `files`"
        )


def data_environment(spec: Spec, data: Path | None) -> dict[str, str]:
    """Name the variable by which Airflow's task `land` finds the folder; none without a folder."""
    refuse_unread_folder(spec, data)
    return {} if data is None else {f"MATINEE_DATA_{spec.source_name.upper()}": url_of(data) or str(data.resolve())}


def require_same_data(spec: Spec, home: Path, data: Path | None) -> None:
    """Refuse a folder that a running Airflow does not read: its tasks would land other files than this process.

    Raises:
        StackError: Airflow runs, and reads another one; with what to do.
    """
    # The command line asks for the other functions alone, and need not wait for this.
    from tasks.operations.local_airflow.processes import supervisor_of

    supervisor = supervisor_of(home.resolve())
    if supervisor is None or data is None:
        return
    ((variable, wanted),) = data_environment(spec, data).items()
    # Components get what the supervisor got as it started; nothing reaches them later.
    reads = supervisor.environ().get(variable) or str(home.resolve() / "data" / spec.source_name)
    if reads != wanted and os.path.realpath(reads) != wanted:
        options = f"--pipeline {spec.name} --data {data}" if PREFIX else f"PIPELINE={spec.name} DATA={data}"
        up = f"{stack_command('up')} {options}"
        raise StackError(
            f"Airflow is running already and reads {spec.source_name} from {reads}; it learns of a folder only as it "
            f"starts. Next: `{stack_command('down')}`, then `{up}` to leave it running, or the same command again"
        )
