"""What was served against the tables: planted differences, each found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from engine.descriptor import Descriptor, Request, artifact_entry, content_digest, write_descriptor
from engine.npz import save_arrays
from engine.ranking import Engine, golden, load
from engine.sealed import unsealed
from serving.champion import Loaded
from serving.feature_log import FeatureLog
from tasks.cli.main import app
from tasks.errors import MatineeError
from tasks.monitoring.drift import SCORE
from tasks.monitoring.serving_log import read_answers, served_dir, served_files
from tasks.monitoring.skew import ServedVersion, Skew, skew_checks, skew_of
from tasks.runs.run import Run
from tasks.store.database import connect
from tasks.store.files import Home
from tasks.store.registry import move_alias, version_dir
from tests.tasks.handmade import published, spec_of

FRIDAY, SATURDAY, SUNDAY = date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)
USERS = {"ana": 10.0, "bob": 400.0}
ITEMS = {"i1": 3.0, "i2": 5.0, "i3": 1.0}
OPEN = {"user_id": "ana", "k": 3}


def version(day: date) -> str:
    return f"{day}.00000001"


def write(folder: Path, name: str, **columns: Any) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / name)


def real(values: Any) -> pa.Array:
    return pa.array(list(values), pa.float32())


ASKED: dict[str, Any] = {
    "type": "RequestMatch",
    "name": "item_tags_shared_mood",
    "measure": "shared",
    "key": "mood",
    "items_artifact": "features/tags.parquet",
    "items_column": "tags",
}
"""A feature of the request: how many of the tags that it names an item has."""


def publish(home: Home, day: date, *of_request: dict[str, Any]) -> None:
    """A version whose score is a weighted sum of an item's actions, a user's tenure and an item's popularity.

    `of_request`: more features, of weight 1.
    """
    folder = version_dir(home, "tiny", version(day))
    folder.mkdir(parents=True)
    texts = {"title": list(ITEMS), "category": ["drama"] * 3}
    write(folder, "catalogue.parquet", item_id=list(ITEMS), **texts, available=[True] * 3)
    write(folder, "features/user.parquet", user_id=list(USERS), user_tenure_days=real(USERS.values()))
    write(folder, "features/item.parquet", item_id=["i1", "i2"], item_actions_28d=real([3.0, 5.0]))
    tags = pa.array([["sad", "war"], ["war"], []], pa.list_(pa.string()))
    write(folder, "features/tags.parquet", item_id=list(ITEMS), tags=tags)
    scores = np.array([0.5, 0.25, 0.125], dtype=np.float32)
    save_arrays(folder / "popularity.npz", item_ids=np.array(list(ITEMS)), scores=scores)
    lookups = [
        {"type": "Lookup", "name": name, "entity": entity, "default": 0.0, "artifact": f"features/{entity}.parquet"}
        for name, entity in (("item_actions_28d", "item"), ("user_tenure_days", "user"))
    ]
    score = {"type": "Score", "name": "popularity_score", "of": "Popularity", "default": 0.0}
    names = ["catalogue.parquet", "features/user.parquet", "features/item.parquet", "popularity.npz"]
    names += sorted({feature["items_artifact"] for feature in of_request})
    artifacts = {name: artifact_entry(folder / name) for name in names}
    descriptor = Descriptor.model_validate(
        {
            "pipeline": "tiny",
            "version": version(day),
            "as_of": day,
            "ranker": {
                "type": "ScoringRanker",
                "retrieve": {"type": "Union", "of": [{"type": "Popularity", "k": 3, "artifact": "popularity.npz"}]},
                "scorer": {
                    "type": "FeatureScorer",
                    "features": [*lookups, score, *of_request],
                    "function": {"type": "Linear", "weights": [1, 0.01, 2, *(1 for _ in of_request)]},
                },
                "rerank": [],
            },
            "artifacts": artifacts,
            "content": content_digest(artifacts),
        }
    )
    write_descriptor(folder, descriptor)
    answers = golden(load(folder, unpublished=True), [Request(user_id="ana", context={"mood": ["war"]})])
    write_descriptor(folder, descriptor.model_copy(update={"golden": answers}))
    move_alias(home, "tiny", published(version(day), day, why="test", content=descriptor.content))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run for a Sunday: versions of Friday and Saturday, and their features in the warehouse."""
    home = Home(tmp_path)
    for day in (FRIDAY, SATURDAY):
        publish(home, day)
    home.warehouse("tiny").parent.mkdir(parents=True)
    with connect(home.warehouse("tiny")) as connection:
        connection.execute("create table feat_users (user_id varchar, as_of date, user_tenure_days float)")
        connection.execute(
            "create table feat_items (item_id varchar, as_of date, category varchar, item_actions_28d float)"
        )
        for day in (FRIDAY, SATURDAY):
            users = [(user, day, value) for user, value in USERS.items()]
            connection.executemany("insert into feat_users values (?, ?, ?)", users)
            connection.executemany(
                "insert into feat_items values (?, ?, 'drama', ?)", [("i1", day, 3.0), ("i2", day, 5.0)]
            )
    return Run(spec_of(), home, SUNDAY, "a1")


def engine_of(run: Run, day: date = SATURDAY) -> Engine:
    return load(version_dir(run.home, "tiny", version(day)))


def serve(run: Run, engine: Engine, *bodies: dict[str, Any], hour: int = 12) -> None:
    """Answer and log as the application does."""
    now = datetime(SUNDAY.year, SUNDAY.month, SUNDAY.day, hour, tzinfo=UTC)
    log = FeatureLog(run.home.served("tiny"), 1.0, now=lambda: now)
    for body in bodies:
        request = Request.model_validate(body)
        log.offer(Loaded(engine, engine.descriptor.version), request, *engine.explain(request))
    log.start()
    log.stop()


def found(run: Run) -> Skew:
    result = skew_of(run)
    assert result is not None
    return result


def wrong(run: Run) -> dict[str, tuple[int, int]]:
    """(different, missing) of the features that are not the same."""
    rows = found(run).features
    return {row.feature: (row.different, row.missing) for row in rows if row.level != "same"}


def test_what_is_served_as_published_is_the_same(run: Run) -> None:
    serve(run, engine_of(run), OPEN, {"user_id": "bob", "k": 2}, {"user_id": "nobody"}, {**OPEN, "candidates": ["i2"]})

    result = found(run)
    names = ("item_actions_28d", "user_tenure_days", "popularity_score", "model score")
    rows = {row.feature: (row.compared, row.level) for row in result.features}
    assert rows == dict.fromkeys(names, (9, "same"))
    assert (result.requests, result.days, result.problem, result.stale) == (4, ("2026-03-01",), None, None)
    assert result.versions == (ServedVersion(version=version(SATURDAY), requests=4),)
    assert not result.differs
    assert all(check.success for check in skew_checks(run, result))


def changed_default(engine: Engine) -> None:
    features = engine.populations.rankers["*"].scorer.features
    object.__setattr__(features[0], "default", 7.0)  # for items of which nothing is known


def swapped_features(engine: Engine) -> None:
    scorer = engine.populations.rankers["*"].scorer
    first, second, third = scorer.features
    object.__setattr__(scorer, "features", (second, first, third))


def another_scale(engine: Engine) -> None:
    feature: Any = engine.populations.rankers["*"].scorer.features[1]
    object.__setattr__(feature, "values", feature.values * np.float32(1.0000001))


def test_a_list_of_the_request_is_logged_with_the_answer(run: Run, tmp_path: Path) -> None:
    asked = Run(run.spec, Home(tmp_path / "asked"), SUNDAY, "a1")
    publish(asked.home, SATURDAY, ASKED)
    asked.home.warehouse("tiny").parent.mkdir(parents=True)
    shutil.copyfile(run.home.warehouse("tiny"), asked.home.warehouse("tiny"))

    serve(asked, engine_of(asked), {**OPEN, "context": {"mood": ["war", "sad", "unseen"], "unread": ["x"]}})

    (answer,) = read_answers(served_files(asked.home, "tiny", SUNDAY))
    assert answer.context == {"mood": ("war", "sad", "unseen")}
    assert dict(zip(answer.items, answer.features[ASKED["name"]], strict=True)) == {"i1": 2, "i2": 1, "i3": 0}
    compared = ("item_actions_28d", "user_tenure_days", "popularity_score", ASKED["name"], SCORE)
    assert {row.feature: row.level for row in found(asked).features} == dict.fromkeys(compared, "same")


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (changed_default, {"item_actions_28d": (1, 0), "model score": (1, 0)}),
        (swapped_features, {"item_actions_28d": (3, 0), "user_tenure_days": (3, 0), "model score": (3, 0)}),
        (another_scale, {"user_tenure_days": (3, 0), "model score": (3, 0)}),
    ],
)
def test_a_planted_difference_is_found(
    run: Run, plant: Callable[[Engine], None], expected: dict[str, tuple[int, int]]
) -> None:
    engine = engine_of(run)
    plant(engine)
    serve(run, engine, OPEN)

    assert wrong(run) == expected
    assert found(run).differs
    failed = [check for check in skew_checks(run, found(run)) if not check.success]
    assert {(check.severity, check.line) for check in failed} == {("warning", "predictions")}


def test_the_example_names_user_item_and_both_values(run: Run) -> None:
    engine = engine_of(run)
    changed_default(engine)
    serve(run, engine, OPEN)

    row = next(row for row in found(run).features if row.feature == "item_actions_28d")
    assert row.example == "user ana, item i3, 2026-02-28.00000001: served 7, the table has 0"


def test_a_table_that_was_corrected_since_differs(run: Run) -> None:
    serve(run, engine_of(run), OPEN)
    with connect(run.home.warehouse("tiny")) as connection:
        connection.execute("update feat_users set user_tenure_days = 11 where user_id = 'ana'")

    assert wrong(run) == {"user_tenure_days": (3, 0)}


def test_a_value_that_is_missing_in_serving_is_counted_apart(run: Run) -> None:
    engine = engine_of(run)
    object.__setattr__(engine.populations.rankers["*"].scorer.features[0], "default", float("nan"))
    serve(run, engine, OPEN)

    assert wrong(run)["item_actions_28d"] == (0, 1)


def test_an_old_version_at_the_end_of_the_day_is_stale(run: Run) -> None:
    serve(run, engine_of(run, SATURDAY), OPEN, hour=9)
    serve(run, engine_of(run, FRIDAY), OPEN, hour=18)

    result = found(run)
    assert result.stale == (
        "the last answer of 2026-03-01 came from 2026-02-27.00000001; 2026-02-28.00000001 was published by then"
    )
    assert result.differs
    assert wrong(run) == {}  # compared with the tables of its own day


def test_an_old_version_in_the_morning_is_not(run: Run) -> None:
    serve(run, engine_of(run, FRIDAY), OPEN, hour=1)
    serve(run, engine_of(run, SATURDAY), OPEN, hour=9)

    assert found(run).stale is None


def test_nothing_logged_is_nothing_to_compare(run: Run) -> None:
    assert skew_of(run) is None


def test_a_day_that_is_not_built_is_a_problem(run: Run) -> None:
    serve(run, engine_of(run), OPEN)
    with connect(run.home.warehouse("tiny")) as connection:
        connection.execute("delete from feat_items where as_of = '2026-02-28'")

    assert "no features as of 2026-02-28" in (found(run).problem or "")
    assert found(run).differs


def test_a_warehouse_of_another_build_is_a_problem(run: Run) -> None:
    serve(run, engine_of(run), OPEN)
    with connect(run.home.warehouse("tiny")) as connection:
        connection.execute("drop table feat_users")

    assert "run `matinee build tiny --as-of 2026-03-01`, then this again" in (found(run).problem or "")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"scores": [1.0]}, "scores: found 1 values, expected 3"),
        ({"password": "x"}, "password: Extra inputs are not permitted"),
        ({"as_of": "yesterday"}, "as_of: Input should be a valid date"),
    ],
)
def test_a_line_of_another_shape_is_named(run: Run, change: dict[str, Any], text: str) -> None:
    serve(run, engine_of(run), OPEN)
    (path,) = served_files(run.home, "tiny", SUNDAY)
    path.write_text(json.dumps({**unsealed(json.loads(path.read_text())), **change}) + "\n")

    with pytest.raises(MatineeError, match=text) as caught:
        read_answers([path])
    assert str(caught.value).startswith(f"{path}:1: ")
    assert text in (found(run).problem or "")


def test_a_version_that_is_not_there_is_a_problem(run: Run) -> None:
    engine = engine_of(run)
    object.__setattr__(engine, "descriptor", engine.descriptor.model_copy(update={"version": "2026-02-28.gone"}))
    serve(run, engine, OPEN)

    assert "2026-02-28.gone: answers were given by this version, but it cannot be loaded" in (found(run).problem or "")


def test_names_of_users_are_never_sql(run: Run) -> None:
    serve(run, engine_of(run), {"user_id": "'); drop table feat_users; --"})

    assert not found(run).differs


def test_files_that_are_being_written_are_left_alone(run: Run) -> None:
    served_dir(run.home, "tiny", SUNDAY).mkdir(parents=True)
    (served_dir(run.home, "tiny", SUNDAY) / ".half.jsonl").write_text("{")

    assert skew_of(run) is None


@pytest.mark.parametrize("plant", [None, changed_default])
def test_the_command_shows_a_table_and_exits_with_1_on_a_difference(
    run: Run, monkeypatch: pytest.MonkeyPatch, plant: Callable[[Engine], None] | None
) -> None:
    engine = engine_of(run)
    if plant is not None:
        plant(engine)
    serve(run, engine, OPEN)
    monkeypatch.setattr(Run, "create", lambda *_, **__: run)
    monkeypatch.setenv("MATINEE_HOME", str(run.home.root))

    monkeypatch.setattr("tasks.cli.check.console", Console(width=200))
    result = CliRunner().invoke(app, ["skew", "tiny", "--as-of", "2026-03-01"])

    assert result.exit_code == (0 if plant is None else 1)
    assert "tiny: 1 answers served on 2026-03-01" in result.output
    assert ("served 7, the table has 0" in result.output) == (plant is not None)


def test_the_command_says_how_to_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "create", lambda *_, **__: run)
    monkeypatch.setenv("MATINEE_HOME", str(run.home.root))

    with pytest.raises(
        MatineeError, match=r"nothing was logged on 2026-03-01; .*`matinee serve tiny --log-features 0\.01`"
    ):
        CliRunner().invoke(app, ["skew", "tiny", "--as-of", "2026-03-01"], catch_exceptions=False)
