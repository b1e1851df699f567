"""Lists of users and of requests through a whole run: examples, golden answers and HTTP agree in every bit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.publishing.golden import UNSEEN
from tasks.runs.run import Run
from tasks.spec import attributes
from tasks.spec.project import Layers
from tests.copied_transforms import copied_transforms, edit
from tests.test_attributes import answers_over_http, scores_of
from tests.test_end_to_end import known_users, loaded, published, retrieved, scored
from tests.tiny_pipelines import SHOWN, SHOWN_DAY, Tiny, in_process, pipeline_file

pytestmark = [in_process, pytest.mark.slow]
FEATURES = ["user_likes_shared", "user_likes_overlap", "request_tags_shared", "request_tags_overlap"]
# By the last digit of an id: no list, an empty one, one with a null, with a value twice, and one that no item has.
LIKES = """case
        when user_id like '%1' then null
        when user_id like '%2' then []
        when user_id like '%3' then ['odd', null, 'odd', 'small', 'unheard of']
        else ['even', 'large']
    end as likes,"""
GENRES = """case
        when item_id like '%5' then null
        else [if(ascii(right(item_id, 1)) % 2 = 0, 'even', 'odd'), if(right(item_id, 1) < '5', 'small', 'large')]
    end as genres,"""
TAGS = """case
        when extract(hour from shown_at) < 6 then null
        when extract(hour from shown_at) < 18 then ['odd', 'large', 'tv']
        else ['small']
    end as tags,"""


def declared(name: str, matches: str = "") -> str:
    more = f", matches: {matches}" if matches else ""
    return f'      - {{name: {name}, data_type: "varchar[]", config: {{meta: {{attribute: true{more}}}}}}}\n'


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    """A service that knows what people like and what a request is about, whose day has been run."""
    folder = tmp_path_factory.mktemp("listed")
    with pytest.MonkeyPatch.context() as patch:
        transforms = copied_transforms(folder, patch)
        patch.setattr(attributes, "transforms", lambda: Layers((transforms,)))
        staging = transforms / "models" / "staging" / "simulated"
        (yml,) = (path for path in staging.glob("*.yml") if "stg_users" in path.read_text())
        for model, sql, before, name, matches in (
            ("stg_users", LIKES, "    ---------- when", "likes", "genres"),
            ("stg_items", GENRES, "    ---------- when", "genres", ""),
            ("stg_impressions", TAGS, "    ---------- when", "tags", "genres"),
        ):
            edit(staging / f"{model}.sql", before, f"    {sql}\n\n{before}")
            head, _, tail = yml.read_text().partition(f"  - name: {model}\n")
            start, _, rest = tail.partition("    columns:\n")
            text = f"{head}  - name: {model}\n{start}    columns:\n{declared(name, matches)}{rest}"
            yml.write_text(text, encoding="utf-8")
        changes: dict[str, Any] = {"name": "listed", "features": [*SHOWN["features"], *FEATURES, "item_genres_overlap"]}
        tiny = Tiny(pipeline_file(folder, SHOWN, **changes), SHOWN_DAY, folder / "home")
        tiny.run()
        yield tiny


def test_examples_have_what_the_lists_have_in_common(listed: Tiny) -> None:
    """Counted again from the ids, by which the staging above makes the lists."""
    run, _ = published(listed)
    rows = pq.read_table(run.step_dir("sample") / "train.parquet").to_pylist()
    counts = set()
    for row in rows:
        digit = row["item_id"][-1]
        genres = (
            None if digit == "5" else {"even" if ord(digit) % 2 == 0 else "odd", "small" if digit < "5" else "large"}
        )
        likes = {"1": None, "2": set(), "3": {"odd", "small", "unheard of"}}.get(row["user_id"][-1], {"even", "large"})
        shared = None if likes is None or genres is None else float(len(likes & genres))
        share = shared / len(likes) if shared is not None and likes else None
        expected = None if share is None else pa.scalar(share, pa.float32()).as_py()
        assert (row["user_likes_shared"], row["user_likes_overlap"]) == (shared, expected)
        counts.add(shared)
    assert counts == {None, 0.0, 1.0, 2.0}
    assert {row["request_tags_shared"] for row in rows} >= {0.0, 1.0, 2.0}


def with_tags(run: Run, users: list[str]) -> tuple[list[dict[str, Any]], pa.Table]:
    """A context for each user; and the same as a column of candidates."""
    choices: list[list[str] | None] = [["odd", "large", "tv"], ["nobody has seen this"], [], None, ["small", "small"]]
    tags = [choices[number % len(choices)] for number in range(len(users))]
    candidates = retrieved(run, users)
    place = {user: number for number, user in enumerate(users)}
    of_rows = [tags[place[user]] for user in candidates["user_id"].to_pylist()]
    candidates = candidates.append_column("tags", pa.array(of_rows, pa.list_(pa.string())))
    for name, kind in (("hour", pa.int32()), ("daypart", pa.string())):
        candidates = candidates.append_column(name, pa.nulls(candidates.num_rows, kind))
    return [{} if some is None else {"tags": some} for some in tags], candidates


def test_http_gives_the_scores_of_the_examples_to_the_last_bit(listed: Tiny) -> None:
    run, _ = published(listed)
    users = known_users(run)
    contexts, candidates = with_tags(run, users)
    requests = [{"user_id": user, "k": 10_000, "context": own} for user, own in zip(users, contexts, strict=True)]
    served = scores_of(answers_over_http(listed, requests), users)
    assert len(served) > 300
    assert served == scored(run, candidates)


def test_the_version_says_that_it_reads_a_list_and_has_golden_answers_with_one(listed: Tiny) -> None:
    descriptor = loaded(listed).descriptor  # replays them
    assert descriptor.input["context"] == {"tags": "list[string]?"}
    tags = [vector.request.context["tags"] for vector in descriptor.golden if vector.request.context]
    assert tags == [("even", "small"), (), (UNSEEN,)]


def test_an_explanation_has_the_features_that_were_scored(listed: Tiny) -> None:
    from engine.descriptor import Request

    user = next(user for user in known_users(published(listed)[0]) if user.endswith("4"))
    _, explanation = loaded(listed).explain(Request(user_id=user, context={"tags": ["small", "tv"]}))
    place = explanation.names.index("request_tags_overlap")
    assert {value for value in explanation.values[:, place].tolist() if not math.isnan(value)} <= {0.0, 0.5}
    assert explanation.context == {"tags": ("small", "tv")}
