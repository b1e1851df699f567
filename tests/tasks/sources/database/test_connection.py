"""A database is opened by a URL of the environment that no error, log or record tells."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks.errors import SourceError
from tasks.sources.database.connection import open_database, plain_errors

VARIABLE = "SHOP_DATABASE"
PASSWORD = "s3cret/pass word"
QUOTED = "s3cret%2Fpass%20word"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "^SHOP_DATABASE: not set; expected the URL of the database"),
        (PASSWORD, "^SHOP_DATABASE: not the URL of a database; expected postgresql://"),
        (f"postgresql://bob:{QUOTED}@host:port/shop", "^SHOP_DATABASE: not the URL of a database"),
        (f"mysql://bob:{QUOTED}@127.0.0.1/shop", "^SHOP_DATABASE: a database that cannot be read here"),
        (f"postgresql+asyncpg://bob:{QUOTED}@127.0.0.1/shop", "^SHOP_DATABASE: a database that cannot be read here"),
        (f"postgresql://bob:{QUOTED}@127.0.0.1:1/shop", "^SHOP_DATABASE: cannot be opened: .*refused"),
        (f"postgresql://127.0.0.1:1/shop?password={QUOTED}", "^SHOP_DATABASE: cannot be opened: .*refused"),
        (f"postgresql://bob:{QUOTED}@127.0.0.1:1/shop?s3cret=x", "^SHOP_DATABASE: cannot be opened: .*option"),
        ("sqlite:////no/where.db", "^SHOP_DATABASE: /no/where.db: no such file; expected an SQLite database"),
        ("sqlite://", "^SHOP_DATABASE: None: no such file"),
    ],
)
def test_a_url_that_does_not_work_is_an_error_without_it(
    url: str, message: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(SourceError, match=message) as caught:
        open_database(VARIABLE)
    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert PASSWORD not in told
    assert QUOTED not in told
    assert "s3cret/" not in told


def test_what_a_server_repeats_of_the_password_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://bob:{QUOTED}@host/shop"
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(SourceError) as caught, plain_errors(VARIABLE, "orders cannot be read"):
        raise sa.exc.OperationalError("select", {}, Exception(f"no {PASSWORD} of {url}, {QUOTED}"))
    assert str(caught.value) == "SHOP_DATABASE: orders cannot be read: no *** of ***, ***"


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.db").write_text("this is no database, but it is long enough to be taken for the head of one " * 9)
    monkeypatch.setenv(VARIABLE, f"sqlite:///{tmp_path}/shop.db")
    with pytest.raises(SourceError, match=r"^SHOP_DATABASE: cannot be opened: file is not a database"):
        open_database(VARIABLE)


def test_sqlite_is_opened_to_read_only(sqlite: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_database(VARIABLE) as connection, pytest.raises(sa.exc.OperationalError, match="readonly"):
        connection.exec_driver_sql("create table t (a int)")
