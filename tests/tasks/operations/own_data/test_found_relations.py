"""From tables of a database to a valid pipeline, in which nothing of the database's URL stands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from tasks.errors import SourceError, SpecError
from tasks.operations.own_data import found_relations
from tasks.operations.own_data.begin import begin, look_at
from tasks.operations.own_data.found_relations import find_relations, is_database, variable_of
from tasks.sources.datasets import load_dataset
from tasks.spec.load import load_spec
from tests.tasks.operations.own_data.test_begin import Answers, acts, project
from tests.tasks.sources.database.conftest import VARIABLE, postgresql, server, sqlite

__all__ = ["postgresql", "project", "server", "sqlite"]

Rows = Sequence[tuple[int, int, int, date]]


def fill(engine: sa.Engine, time: str, schema: str = "", rows: Rows = ()) -> None:
    """Ratings of films, and a table that says nothing of them."""
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        columns = f"id integer primary key, userId integer, movieId integer, rating real, at {time}"
        run(f"create table {schema}ratings ({columns})")
        run(f"create table {schema}movies (movieId integer primary key, title varchar(90), genres text)")
        run(f"create table {schema}colors (color text, hex text)")
        zone = "" if time == "text" else "+09:00"
        for number, (user, item, stars, day) in enumerate(rows or acts()):
            run(f"insert into {schema}ratings values ({number}, {user}, {item}, {stars}, '{day} 10:00:00{zone}')")
        for item in range(500, 520):
            run(f"insert into {schema}movies values ({item}, 'Film {item}', '{'Drama' if item % 2 else 'War'}')")


def test_tables_of_sqlite_become_a_valid_pipeline_without_a_question(
    sqlite: sa.Engine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(sqlite, "text")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("FILMS_DATABASE", "")
    ask = Answers()
    own = begin("films", f"sqlite:///{sqlite.url.database}", ask)
    assert ask.questions == []
    dataset = load_dataset("films", project / "transforms" / "datasets")
    assert {name: (table.from_, table.key) for name, table in dataset.tables.items()} == {
        "ratings": ("ratings", ("id",)), "movies": ("movies", ("movie_id",)),
    }  # fmt: skip
    assert [(c.in_file, c.name, c.type) for c in dataset.tables["ratings"].columns] == [
        ("id", "id", "BIGINT"), ("userId", "user_id", "VARCHAR"), ("movieId", "movie_id", "VARCHAR"),
        ("rating", "rating", "DOUBLE"), ("at", "at", "TIMESTAMP"),
    ]  # fmt: skip
    spec = load_spec(project / "pipelines" / "films.yaml")
    assert spec.source.model_dump() == {"type": "sql", "dataset": "films", "url_env": "FILMS_DATABASE"}
    assert "item_category" in spec.features
    assert own.next_command == "matinee run films --as-of 2025-04-30"
    texts = [path.read_text() for path in own.paths]
    assert not any("sqlite:" in text or "shop.db" in text for text in texts)
    assert "from `the database of $FILMS_DATABASE`" in texts[-1]
    assert "Not used: `colors`." in texts[-1]


def test_tables_of_postgresql_become_a_pipeline_that_names_the_variable(postgresql: sa.Engine, project: Path) -> None:
    fill(postgresql, "timestamptz", "shop.")
    ask = Answers()
    begin("films", os.environ[VARIABLE], ask)
    assert ask.questions == []
    tables = yaml.safe_load((project / "transforms" / "datasets" / "films.yaml").read_text())["tables"]
    assert tables["ratings"]["from"] == "shop.ratings"
    # Names without quotes are of small letters in PostgreSQL.
    assert [(c["header"], c["type"]) for c in tables["ratings"]["columns"]][1::3] == [
        ("userid", "VARCHAR"), ("at", "TIMESTAMP")
    ]  # fmt: skip
    assert load_spec(project / "pipelines" / "films.yaml").source.model_dump()["url_env"] == VARIABLE


def test_a_url_is_told_from_a_path() -> None:
    assert is_database("postgresql+psycopg2://host/shop")
    assert is_database("sqlite:///shop.db")
    assert not is_database("sqlite.csv")
    assert not is_database("/data/postgresql/x")


def test_the_variable_that_has_the_url_already_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DATABASE", "")
    monkeypatch.setenv("lower", "sqlite:///a.db")
    assert variable_of("my", "sqlite:///a.db") == "MY_DATABASE"
    monkeypatch.setenv("SHOP", "sqlite:///b.db")
    assert variable_of("my", "sqlite:///b.db") == "SHOP"


def test_a_database_that_cannot_be_looked_at_is_an_error(
    sqlite: sa.Engine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpecError, match=r"^SHOP_DATABASE: found no table; expected tables or views"):
        find_relations(VARIABLE)
    with sqlite.begin() as connection:
        connection.exec_driver_sql("create table t (a text, b text)")
        connection.exec_driver_sql("insert into t values ('a', 'b'), ('b', 'c')")
    with pytest.raises(SpecError, match=r"^SHOP_DATABASE: found no table of interactions; .* looked at t$"):
        look_at("films", f"sqlite:///{sqlite.url.database}", Answers())
    monkeypatch.setattr(found_relations, "MOST_ROWS", 1)
    with pytest.raises(SpecError, match=r"^t: has 2 rows, more than 1, .* make a view"):
        find_relations(VARIABLE)
    monkeypatch.setenv("FILMS_DATABASE", "")
    with pytest.raises(SourceError, match=r"^FILMS_DATABASE: cannot be opened: .*refused") as caught:
        begin("films", "postgresql://bob:s3cret@127.0.0.1:1/shop", Answers())
    assert "s3cret" not in str(caught.value)


def test_columns_of_sqlite_without_a_type_have_that_of_their_values(
    sqlite: sa.Engine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("FILMS_DATABASE", "")
    with sqlite.begin() as connection:
        connection.exec_driver_sql("create table orders (user_id, item_id, price, created_at, note, empty, picture)")
        insert = "insert into orders values (?, ?, ?, ?, ?, null, x'00ff')"
        for user, item, stars, day in acts():
            connection.exec_driver_sql(insert, (f"0{user}", item, stars + 0.5, f"{day} 10:00:00", "ab"))
    own = begin("films", f"sqlite:///{sqlite.url.database}", Answers())
    dataset = load_dataset("films", project / "transforms" / "datasets")
    assert [(c.name, c.type) for c in dataset.tables["orders"].columns] == [
        ("user_id", "VARCHAR"), ("item_id", "VARCHAR"), ("price", "DOUBLE"), ("created_at", "TIMESTAMP"),
        ("note", "VARCHAR"), ("empty", "VARCHAR"),
    ]  # fmt: skip
    assert own.kinds.always == "purchase"
    assert own.left_out == ["`orders.picture` has values of a kind that is not read."]


def test_a_view_that_cannot_be_read_is_left_out_by_name(
    sqlite: sa.Engine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("FILMS_DATABASE", "")
    with sqlite.begin() as connection:
        connection.exec_driver_sql("create view broken as select * from nowhere")
    with pytest.raises(SpecError, match=r"found no table; .*; `broken` cannot be read: no such table: main.nowhere$"):
        find_relations(variable_of("films", f"sqlite:///{sqlite.url.database}"))
    fill(sqlite, "text")
    own = begin("films", f"sqlite:///{sqlite.url.database}", Answers())
    assert own.left_out == ["`broken` cannot be read: no such table: main.nowhere."]
    assert "- Left out: `broken` cannot be read: no such table: main.nowhere." in own.paths[-1].read_text()


def test_a_view_of_postgresql_that_fails_is_left_out_by_name(postgresql: sa.Engine) -> None:
    fill(postgresql, "timestamptz", "shop.")
    with postgresql.begin() as connection:
        connection.exec_driver_sql("create view shop.broken as select 1 / (id - id) as a, rating from shop.ratings")
    found = find_relations(VARIABLE)
    assert found.left_out == ["`shop.broken` cannot be read: division by zero."]
    assert [table.file for table in found.tables] == ["shop.colors", "shop.movies", "shop.ratings"]
