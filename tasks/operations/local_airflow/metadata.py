"""Where Airflow keeps its metadata: a server of our own, one that somebody else runs, or, where neither is, SQLite."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import StackError
from tasks.operations.local_airflow.postgres import Server, create, programs, running
from tasks.operations.local_airflow.sockets import airflow_home, sockets
from tasks.spec.project import PREFIX

URL = "MATINEE_DATABASE"
SCHEMES = ("postgresql://", "postgresql+psycopg2://")


@dataclass(frozen=True)
class Metadata:
    """The metadata database of a state folder.

    Attributes:
        url: its address, as SQLAlchemy takes it.
        server: the server to start for it; None: somebody else runs it, or it is a file.
        file: the file of SQLite's database.
        warning: what somebody who starts Airflow must know; None: nothing.
    """

    url: str
    server: Server | None = None
    file: Path | None = None
    warning: str | None = None

    def settings(self) -> dict[tuple[str, str], str]:
        """Airflow's settings of the database."""
        settings = {("database", "sql_alchemy_conn"): self.url}
        if self.file is not None:
            arguments = f"{PREFIX}dags.sqlite_options.CONNECT"
            settings |= {("database", f"sql_alchemy_connect_args{kind}"): arguments for kind in ("", "_async")}
        return settings

    def create(self) -> bool:
        """Create the database if it is ours to create, and say whether it is new.

        Raises:
            StackError: it could not be created.
        """
        if self.server is not None:
            return create(self.server)
        return self.file is not None and not self.file.exists()

    @contextmanager
    def running(self, env: dict[str, str]) -> Iterator[None]:
        """Keep the database's server running, if it is ours to run, before the supervisor does.

        Args:
            env: environment of its process.
        """
        with running(self.server, env) if self.server else nullcontext():
            yield

    def supervised(self) -> dict[str, str]:
        """Variables of `supervisord.conf`: the server's command line, and whether it is started."""
        command = shlex.join(self.server.command) if self.server else "true"
        return {"MATINEE_POSTGRES": command, "MATINEE_POSTGRES_HERE": str(self.server is not None).lower()}


def metadata(home: Path) -> Metadata:
    """Decide where the metadata of a state folder lie.

    Args:
        home: state folder, absolute.

    Raises:
        StackError: `MATINEE_DATABASE` is no address of a PostgreSQL database.
    """
    state = airflow_home(home)
    url = os.environ.get(URL)
    if url:
        if not url.startswith(SCHEMES):
            # The value may hold a password, so it is not quoted.
            raise StackError(f"{URL}: expected the address of a PostgreSQL database: postgresql://user@host/database")
        return Metadata(url)
    try:
        server = Server(programs(), state / "postgres", sockets(home))
    except StackError as error:
        file = state / "airflow.db"
        return Metadata(f"sqlite:///{file}", file=file, warning=f"{error}\n{_CONSEQUENCE}")
    return Metadata(server.url, server)


_CONSEQUENCE = (
    f"Airflow's metadata go to SQLite: pages and requests may freeze for up to 60 s while tasks run. Set {URL} to the "
    "address of a PostgreSQL database, or put a `postgres` on PATH."
)
