"""Opening a source's database: to read only, as of one moment, with bounded waits, and without telling its password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, Connection, NullPool, create_engine, func, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from tasks.errors import SourceError, first_line
from tasks.store.settings import statement_seconds

POSTGRESQL, SQLITE = "postgresql", "sqlite"
CONNECT_SECONDS = 10
_DRIVERS = {POSTGRESQL: "psycopg2", SQLITE: "pysqlite"}
"""The driver of each database; which one a URL without a driver means changes with SQLAlchemy's version."""
_EXPECTED = "postgresql://user:password@host:5432/database or sqlite:////path/of/a/file"


def open_database(url_env: str) -> Connection:
    """Open the database whose URL an environment variable holds, in a transaction that reads only and sees one state.

    As with a dump of a database, all tables and days are of the moment of the first read, whatever is written
    meanwhile: an order never comes without its customer. Whoever opens it closes it.

    Raises:
        SourceError: the variable has no URL of a database that can be read, or the database doesn't answer.
    """
    url = _url(url_env)
    with plain_errors(url_env, "cannot be opened"):
        # Hidden, because an error would quote values of rows.
        engine = create_engine(url, hide_parameters=True, poolclass=NullPool, connect_args=_waits(url))
        connection = engine.connect()
        _begin(connection)
    return connection


def _url(url_env: str) -> URL:
    text = os.environ.get(url_env, "")
    if not text:
        raise SourceError(f"{url_env}: not set; expected the URL of the database in the environment, like {_EXPECTED}")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text may be a password that was put into the wrong variable.
        raise SourceError(f"{url_env}: not the URL of a database; expected {_EXPECTED}") from None
    backend, driver = url.get_backend_name(), url.drivername.partition("+")[2]
    if backend not in _DRIVERS or driver not in ("", _DRIVERS[backend]):
        raise SourceError(f"{url_env}: a database that cannot be read here; expected {_EXPECTED}")
    # SQLite would create an empty database.
    if backend == SQLITE and not (url.database and Path(url.database).is_file()):
        raise SourceError(f"{url_env}: {url.database}: no such file; expected an SQLite database")
    return url.set(drivername=f"{backend}+{_DRIVERS[backend]}")


def _waits(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == SQLITE:
        return {"timeout": CONNECT_SECONDS}
    # A server that is gone without a word is noticed within a minute.
    alive = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    return {"connect_timeout": CONNECT_SECONDS, "application_name": "matinee", **alive}


def _begin(connection: Connection) -> None:
    if connection.dialect.name == SQLITE:
        connection.exec_driver_sql("pragma query_only = on")
        # Python's driver begins no transaction for a query.
        connection.exec_driver_sql("begin")
        # The first read decides which state is seen, and whether the file is a database.
        connection.exec_driver_sql("select count(*) from sqlite_master")
        return
    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    settings = {
        "statement_timeout": f"{statement_seconds()}s",
        # How values look as text must not depend on the server's or the user's settings.
        # All rows of a cursor are fetched: a plan that is quick to begin would be slow to end.
        "cursor_tuple_fraction": "1",
        **{"TimeZone": "UTC", "DateStyle": "ISO, YMD", "extra_float_digits": "1", "client_encoding": "UTF8"},
    }
    for name, value in settings.items():
        connection.execute(select(func.set_config(name, value, True)))


@contextmanager
def plain_errors(url_env: str, what: str) -> Iterator[None]:
    """Turn what the database or its driver says into an error in plain words, without the password.

    Args:
        url_env: the variable that holds the URL.
        what: of which failed, like "shop.orders cannot be read".

    Raises:
        SourceError: in place of theirs.
    """
    try:
        yield
    except (SQLAlchemyError, UnicodeError) as error:
        raise SourceError(f"{url_env}: {what}: {without_secrets(error, url_env)}") from None


def without_secrets(error: BaseException, url_env: str) -> str:
    """Say in a line what the database or its driver said, without the URL and its password."""
    # SQLAlchemy's own text has the statement with it; the driver's says what is wrong.
    text = first_line(getattr(error, "orig", None) or error)
    url_text = os.environ.get(url_env, "")
    url = make_url(url_text)
    hidden = [url.password or "", *(str(value) for key, value in url.query.items() if "pass" in key.lower())]
    for secret in (
        url_text,
        *hidden,
        *(written(one) for one in hidden for written in (partial(quote, safe=""), quote_plus)),
    ):
        if secret:
            text = text.replace(secret, "***")
    return text
