from __future__ import annotations

import json
import re
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BuildError
from tasks.features import dbt_docs as sql_docs
from tasks.features.ledger import TableCode
from tasks.runs.sql_lineage import sql_of
from tasks.spec.load import load_spec
from tasks.spec.project import TOOL
from tasks.store.files import Home
from tests.copied_transforms import copied_transforms, edit

SPEC = load_spec(TOOL / "pipelines" / "streaming.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sql_docs.make_docs(Home(tmp_path_factory.mktemp("home")), SPEC)


def inlined(text: str, name: str) -> Any:
    start = text.index(f"{name}:", text.index('factory("project"')) + len(name) + 1
    return json.JSONDecoder().raw_decode(text[start:])[0]


def test_the_page_holds_the_tables_their_columns_and_lineage(made: Path) -> None:
    text = made.read_text(encoding="utf-8")

    manifest, catalog = inlined(text, "manifest"), inlined(text, "catalog")

    mart = "model.matinee.feat_users"
    assert catalog["nodes"][mart]["columns"]["user_id"]["type"] == "varchar"
    assert "model.matinee.int_user_daily" in manifest["parent_map"][mart]


def test_the_page_can_fetch_nothing(made: Path) -> None:
    text = made.read_text(encoding="utf-8")

    head = text[text.index("<head>") :]
    assert head.startswith(f'<head><meta http-equiv="Content-Security-Policy" content="{sql_docs.POLICY}">')
    assert "default-src 'none'" in sql_docs.POLICY
    assert "connect-src" not in sql_docs.POLICY
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=.https?:", text)


def test_the_same_state_is_made_once_and_an_older_one_goes(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(made.parents[2])
    monkeypatch.setattr(sql_docs, "_manifest", lambda _: {"nodes": {}, "marker": "second </script>"})

    assert sql_docs.make_docs(home, SPEC).read_bytes() == made.read_bytes()
    other = SPEC.model_copy(update={"name": "another"})
    first = sql_docs.make_docs(home, other)
    monkeypatch.setattr(sql_docs, "code_of_tables", lambda _: TableCode(sql_of(SPEC), "changed"))
    second = sql_docs.make_docs(home, other)

    assert not first.exists()
    assert "second \\u003c/script>" in second.read_text(encoding="utf-8")
    assert made.exists()


def test_sql_that_dbt_cannot_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(
        copied_transforms(tmp_path, monkeypatch) / "models" / "marts" / "labels.sql", "select", "{{ nothing( }} select"
    )

    with pytest.raises(BuildError, match="dbt cannot read the SQL of streaming"):
        sql_docs.make_docs(Home(tmp_path / "home"), SPEC)


def test_a_failure_in_the_background_is_said_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Future[Path]] = []

    class Worker:
        def submit(self, *_: Any) -> Future[Path]:
            calls.append(Future())
            return calls[-1]

    monkeypatch.setattr(sql_docs, "_workers", Worker())
    home = Home(tmp_path)

    assert sql_docs.docs_or_begin(home, SPEC) is None
    assert sql_docs.docs_or_begin(home, SPEC) is None
    calls[0].set_exception(BuildError("no"))
    with pytest.raises(BuildError, match="no"):
        sql_docs.docs_or_begin(home, SPEC)
    assert sql_docs.docs_or_begin(home, SPEC) is None
    assert len(calls) == 2
