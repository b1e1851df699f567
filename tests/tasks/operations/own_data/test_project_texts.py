"""What the written files say of the data: columns that nothing uses, and as many candidates as there are items."""

from __future__ import annotations

from pathlib import Path

from tasks.operations.own_data.begin import begin
from tasks.operations.own_data.project_texts import readme_text
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tests.tasks.operations.own_data.test_begin import Answers, acts, project, write_ratings

__all__ = ["project"]


def test_columns_that_nothing_uses_are_named_and_k_is_no_more_than_the_items(project: Path) -> None:
    folder = project / "data"
    folder.mkdir()
    lines = [f"{user},{item},{stars}.5,{day},x" for user, item, stars, day in acts(items=60)]
    (folder / "orders.csv").write_text("\n".join(["user_id,item_id,price,ordered_at,note", *lines, ""]))
    films = [f"{item},Film {item},{item % 3},x" for item in range(500, 560)]
    (folder / "items.csv").write_text("\n".join(["item_id,title,shelf,link", *films, ""]))
    own = begin("shop", folder, Answers())
    named = "Columns that nothing uses: `orders.price` (DOUBLE), `orders.note` (VARCHAR), `items.link` (VARCHAR)."
    assert named in own.paths[-1].read_text()
    assert {part.k for part in load_spec(pipeline_path("shop")).retrieval} == {60}


def test_of_a_table_whose_columns_are_all_used_nothing_is_said(project: Path) -> None:
    assert "nothing uses" not in readme_text(begin("films", write_ratings(project / "data"), Answers()))
