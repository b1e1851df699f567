"""How Airflow's own database is opened when it is SQLite: transactions that write take their turn.

Airflow reads and then writes within savepoints. Python's sqlite3 begins no transaction for them, which has two
consequences: if another process writes in between, SQLite refuses the write at once ("database is locked"), whatever
the timeout; and each savepoint is a transaction of its own. A backfill of 30 days that was being created next to a busy
scheduler failed so, half visible, and its clean-up took away runs that the scheduler had started, which ended the
scheduler. So a transaction that is going to write asks for the right to at its beginning, and waits for it.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

# Of sqlite3.connect: seconds to wait for another writer; how transactions begin that start with a write.
CONNECT = {"timeout": 60, "isolation_level": "IMMEDIATE"}


@event.listens_for(Engine, "savepoint")
def begin(connection: Connection, _name: str | None) -> None:
    """Begin the transaction around a savepoint, unless there is one."""
    driver = connection.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        driver.execute("BEGIN IMMEDIATE")
