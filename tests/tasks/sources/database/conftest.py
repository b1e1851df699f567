"""Databases to read from: a PostgreSQL server for all tests of a session, and SQLite files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks.operations.local_airflow.postgres import Server, create, programs, running
from tasks.operations.local_airflow.sockets import private_folder

VARIABLE = "SHOP_DATABASE"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("database")
    server = Server(programs(), home / "postgres", private_folder(home / "sockets", home))
    create(server)
    with (server.data / "postgresql.conf").open("a") as stream:
        # Nothing here has to outlive a crash, and flushing is most of the time of a small test.
        stream.write("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n")
    with running(server, dict(os.environ)):
        engine = sa.create_engine(server.url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("alter database airflow set timezone = 'Asia/Tokyo'")
            connection.exec_driver_sql("alter database airflow set datestyle = 'SQL, DMY'")
        yield server


@pytest.fixture
def postgresql(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """An empty schema `shop` in a database whose time zone is not UTC, and the variable with its URL."""
    engine = sa.create_engine(server.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("drop schema if exists shop cascade")
        connection.exec_driver_sql("create schema shop")
    monkeypatch.setenv(VARIABLE, server.url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Engine]:
    """An empty SQLite database, and the variable with its URL."""
    path = tmp_path / "shop.db"
    path.touch()
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    monkeypatch.setenv(VARIABLE, f"sqlite:///{path}")
    yield engine
    engine.dispose()


SHOP = """
name: shop
description: A shop.
first_day: 2020-01-01
last_day: 2020-01-31
tables:
  orders:
    from: shop.orders
    day: {column: at, unit: timestamp}
    key: [id]
    columns:
      - {name: id, type: VARCHAR}
      - {name: at, type: TIMESTAMP}
      - {name: price, type: DOUBLE}
"""


@pytest.fixture
def sent_again(postgresql: sa.Engine, tmp_path: Path) -> Path:
    """The folder of a data set: orders of three days, some of which cannot be read, and some of which come again."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    with postgresql.begin() as connection:
        connection.exec_driver_sql("create table shop.orders (id text, at timestamptz, price double precision)")
        connection.exec_driver_sql(
            """insert into shop.orders select 'o' || mod(n, 250),
                timestamptz '2020-01-01 00:00:00+00' + n * interval '13 minutes',
                case when mod(n, 17) = 0 then 'NaN' else n / 3.0::float8 end from generate_series(0, 331) n"""
        )
    return tmp_path
