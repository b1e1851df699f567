"""From files to a valid pipeline: what is guessed, what is asked, what is written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from tasks.errors import MatineeError, SpecError, WrongArgument
from tasks.operations.own_data import found_files
from tasks.operations.own_data.begin import begin, look_at
from tasks.operations.own_data.project_texts import OwnData, in_project, readme_text
from tasks.sources.datasets import load_dataset
from tasks.spec.load import load_spec
from tasks.spec.parts import BeatsGate
from tasks.spec.project import pipeline_path

FIRST = date(2025, 1, 1)
Question = tuple[str, Sequence[str], str]


class Answers:
    """Takes the best guess, and notes what was asked."""

    def __init__(self, **answers: str) -> None:
        self.questions: list[Question] = []
        self.answers = answers

    def __call__(self, question: str, choices: Sequence[str], guess: str) -> str:
        self.questions.append((question, choices, guess))
        return next((answer for word, answer in self.answers.items() if word in question), guess)


def acts(days: int = 120, users: int = 9, items: int = 7) -> list[tuple[int, int, int, date]]:
    """Each user acts every third day: user, item, stars, day."""
    return [
        (100 + user, 500 + (day * 3 + user) % items, 1 + (day + user) % 5, FIRST + timedelta(days=day))
        for day in range(days)
        for user in range(users)
        if (day + user) % 3 == 0
    ]


def write_ratings(folder: Path, name: str = "ratings.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{user},{item},{stars},{day}T10:00:00" for user, item, stars, day in acts()]
    (folder / name).write_text("\n".join(["userId,movieId,rating,ratedAt", *lines, ""]))
    films = [f"{item},Film {item},{'Drama|War' if item % 2 else ''}" for item in range(500, 507)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films, ""]))
    return folder


def looked(place: Path, ask: Answers | None = None) -> OwnData:
    return look_at("shop", place, ask or Answers())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which a pipeline may begin."""
    monkeypatch.delenv("MATINEE_PIPELINES", raising=False)
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path))
    return tmp_path


def test_ratings_with_a_file_of_films_become_a_valid_pipeline_without_a_question(project: Path) -> None:
    ask = Answers()
    own = begin("films", write_ratings(project / "data"), ask)
    assert ask.questions == []
    assert all(path.is_file() for path in own.paths)
    staging = project / "transforms" / "models" / "staging" / "films"
    assert {path.name for path in staging.iterdir()} == {
        "README.md", "staging.yml", "stg_interactions.sql", "stg_items.sql",
    }  # fmt: skip
    dataset = load_dataset("films", project / "transforms" / "datasets")
    assert {name: table.file for name, table in dataset.tables.items()} == {
        "ratings": "ratings.csv", "movies": "movies.csv",
    }  # fmt: skip
    assert [(c.header, c.name, c.type) for c in dataset.tables["ratings"].columns] == [
        ("userId", "user_id", "VARCHAR"), ("movieId", "movie_id", "VARCHAR"), ("rating", "rating", "BIGINT"),
        ("ratedAt", "rated_at", "TIMESTAMP"),
    ]  # fmt: skip
    spec = load_spec(project / "pipelines" / "films.yaml")
    assert [rule.when for rule in spec.label.grades] == ["kind = 'rating' and value >= 4"]
    assert "item_category" in spec.features
    assert own.next_command.startswith("matinee run films --as-of 2025-04-30 --data ")
    assert "The user is `user_id`, the item `movie_id`." in (staging / "README.md").read_text()


def test_what_is_there_already_is_not_written_over(project: Path) -> None:
    begin("films", write_ratings(project / "data"), Answers())
    before = (project / "pipelines" / "films.yaml").read_text()
    with pytest.raises(SpecError, match=r"pipelines/films\.yaml: is there already; choose another name"):
        begin("films", project / "data", Answers())
    assert (project / "pipelines" / "films.yaml").read_text() == before


def test_columns_of_lists_are_said_to_be_left_out(project: Path) -> None:
    folder = project / "data"
    folder.mkdir()
    rows = [{"user": user, "item": item, "at": f"{day}T10:00:00", "tags": ["a"]} for user, item, _, day in acts()]
    (folder / "acts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    own = begin("acts", folder, Answers())
    said = "of `acts.jsonl` the columns of lists and objects, `tags`; a value within an object is declared by its path"
    assert own.left_out == [f"{said}, like `user.id`."]
    staging = project / "transforms" / "models" / "staging" / "acts"
    assert f"- Left out: {said}" in (staging / "README.md").read_text()


def test_better_gates_are_offered_and_can_be_asked_for(project: Path) -> None:
    begin("films", write_ratings(project / "data"), Answers())
    path = project / "pipelines" / "films.yaml"
    asked = path.read_text().replace("  # - {metric", "  - {metric")
    path.write_text(asked)
    assert [gate.beats for gate in load_spec(path).gates if isinstance(gate, BeatsGate)] == [
        "best_baseline",
        "best_feature",
    ]
    readme = project / "transforms" / "models" / "staging" / "films" / "README.md"
    assert "`beats: best_feature` asks for more than any feature" in readme.read_text()


def refused(path: Path) -> None:
    raise SpecError("no")


def test_an_attempt_that_fails_leaves_nothing_behind(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.spec.load.load_spec", refused)
    with pytest.raises(SpecError, match="no"):
        begin("films", write_ratings(project / "data"), Answers())
    assert not list(project.rglob("*films*"))


def test_a_file_per_day_has_its_closed_days_declared(project: Path) -> None:
    folder = project / "days"
    folder.mkdir()
    for day in sorted({day for *_, day in acts()}):
        if day.weekday() != 6 and day != date(2025, 2, 3):
            lines = [f"{user};{item};{stars}" for user, item, stars, when in acts() if when == day]
            (folder / f"sales_{day}.csv").write_text("\n".join(["Customer;SKU;Quantity", *lines, ""]))
    own = begin("sales", folder, Answers())
    dataset = load_dataset("sales", project / "transforms" / "datasets")
    (table,) = dataset.tables.values()
    assert (table.file, table.dialect.delimiter) == ("sales_{ds}.csv", ";")
    assert (dataset.closed.weekdays, dataset.closed.days) == (("sunday",), (date(2025, 2, 3),))
    assert own.kinds.label == "purchase"
    assert own.roles.time is None


@pytest.mark.parametrize("end", ["jsonl", "csv.gz", "parquet"])
def test_other_files_are_read_by_their_end(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"events.{end}"
    records = [{"user": f"u{u}", "item": f"i{i}", "event": "view", "at": f"{day} 09:30:00"} for u, i, _, day in acts()]
    if end == "jsonl":
        path.write_text("\n".join(map(json.dumps, records)))
    elif end == "csv.gz":
        lines = [",".join(record.values()) for record in records]
        path.write_bytes(gzip.compress("\n".join(["user,item,event,at", *lines]).encode()))
    else:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        parquet.write_table(pa.Table.from_pylist(records), path)
    own = looked(path)
    assert (own.roles.user, own.roles.item, own.roles.kind, own.roles.time) == (("user",), "item", "event", "at")
    assert own.kinds.by_value == {"view": "click"}
    assert own.activity.rows == len(acts())


def test_a_file_without_names_is_asked_about(tmp_path: Path) -> None:
    lines = [f"{u}\t{i}\t{stars}\t{1_735_700_000 + 86_400 * (day - FIRST).days}" for u, i, stars, day in acts()]
    (tmp_path / "u.data").write_text("\n".join(lines))
    ask = Answers()
    own = looked(tmp_path, ask)
    assert [question.split(" (")[0] for question, *_ in ask.questions] == [
        "Which column is the user", "Which column is the item",
    ]  # fmt: skip
    assert own.events.names == ("user_id", "item_id", "rating", "happened_at")
    assert own.roles.time_unit == "epoch_seconds"
    assert own.kinds.always == "rating"
    swapped = looked(tmp_path, Answers(user="column_2", item="column_1"))
    assert swapped.events.names == ("item_id", "user_id", "rating", "happened_at")


def test_what_a_kind_is_is_asked_where_its_word_does_not_tell(tmp_path: Path) -> None:
    lines = [f"{u},{i},{'buy' if stars > 3 else 'blip'},{day}" for u, i, stars, day in acts()]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,action,day", *lines]))
    ask = Answers()
    assert looked(tmp_path, ask).kinds.by_value == {"buy": "purchase"}
    ((question, choices, guess),) = ask.questions
    assert "action = 'blip'" in question
    assert (guess, "play" in choices) == ("none", True)
    assert looked(tmp_path, Answers(blip="play")).kinds.by_value == {"blip": "play", "buy": "purchase"}


def test_a_log_of_impressions_is_told_by_its_clicks(project: Path) -> None:
    folder = project / "log"
    folder.mkdir()
    lines = [
        f"{day} 10:00:00+00:00,{item},{1 + user % 3},{int(stars == 5)},0.3,{user % 2},{user % 3}"
        for user, item, stars, day in acts(days=8)
    ]
    header = "timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1"
    (folder / "shown.csv").write_text("\n".join([header, *lines]))
    own = begin("shown", folder, Answers())
    spec = load_spec(project / "pipelines" / "shown.yaml")
    assert spec.examples.kind == "impressions"
    assert own.roles.user == ("user_feature_0", "user_feature_1")
    models = {path.stem for path in (project / "transforms" / "models" / "staging" / "shown").glob("*.sql")}
    assert models == {"stg_shown", "stg_impressions", "stg_interactions", "stg_users", "stg_items"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n2,3\n", "found no table of interactions"),
        ("one column\nonly\n", "found no table"),
        ("user,item,at\n1,2,2025-01-01\n2,3,2025-01-02\n", r"found 2 days of interactions \(2025-01-01 … 2025-01-02\)"),
    ],
)
def test_files_that_hold_no_interactions_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(SpecError, match=expected):
        looked(tmp_path)


def test_a_name_that_is_none_and_a_place_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="expected a name of small letters"):
        begin("My Shop", tmp_path, Answers())
    with pytest.raises(SpecError, match="no such file or folder"):
        looked(tmp_path / "nowhere")


def test_the_written_yml_is_yaml(project: Path) -> None:
    begin("films", write_ratings(project / "data"), Answers())
    yml = (project / "transforms" / "models" / "staging" / "films" / "staging.yml").read_text()
    assert [model["name"] for model in yaml.safe_load(yml)["models"]] == [
        "stg_interactions", "stg_items", "stg_rejected_rows",
    ]  # fmt: skip


def test_a_file_that_is_too_long_to_be_looked_at_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found_files, "MOST_BYTES", 100)
    with pytest.raises(SpecError, match=r"ratings\.csv: has more than 100 bytes"):
        looked(write_ratings(tmp_path) / "ratings.csv")


def test_of_many_days_some_are_read_and_all_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(40):
        day = FIRST + timedelta(days=n)
        (tmp_path / f"{day}.csv").write_text(f"user,item\n1,{n}\n2,{n + 1}\n")
    monkeypatch.setattr(found_files, "MOST_FILES", 10)
    own = looked(tmp_path)
    assert (own.activity.rows, own.events.found.whole) == (20, False)
    assert (own.activity.first, own.activity.last) == (FIRST, FIRST + timedelta(days=39))
    assert "Only some of its days were read" in readme_text(own)


def test_an_empty_folder_becomes_a_project_and_stays_empty_if_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MATINEE_PROJECT", "MATINEE_PIPELINES"):
        monkeypatch.delenv(name, raising=False)
    data, empty = write_ratings(tmp_path / "data"), tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.spec.load.load_spec", refused)
        with pytest.raises(SpecError, match="no"):
            begin("films", data, Answers())
    assert list(empty.iterdir()) == []
    own = begin("films", data, Answers())
    assert {path.relative_to(empty).parts[0] for path in own.paths} == {"pipelines", "transforms"}
    assert in_project(own.paths[0]) == Path("transforms/datasets/films.yaml")
    assert load_spec(pipeline_path("films")).name == "films"


def test_a_data_set_may_be_called_like_one_of_matinee(project: Path) -> None:
    begin("ml_100k", write_ratings(project / "data"), Answers())
    assert load_dataset("ml_100k").tables.keys() == {"ratings", "movies"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("mysql://u:hunter2@h/db", r"^--from: a URL of mysql: cannot be looked at; expected .*postgresql://"),
        (Path("mysql://u:hunter2@h/db"), r"^--from: a URL of mysql: cannot be looked at"),
        ("mysql+pymysql://u:hunter2@h/db", r"a URL of mysql\+pymysql: "),
        ("POSTGRESQL://u:hunter2@h/db", r"a URL of POSTGRESQL: .*expected .*postgresql://"),
        ("s3://key:hunter2@bucket/day", r"a URL of s3: .* to a folder"),
        ("'mysql://u:hunter2@h/db'", r"a URL of mysql: "),
        ("u:hunter2@h/db", r"^\*\*\*@h/db: no such file or folder"),
        ("//u:hunt/hunter2@h/db", r"\*\*\*@h/db: no such file or folder"),
        ("postgresql+asyncpg://u:hunter2@h/db", r"^SHOP_DATABASE: a database that cannot be read here"),
        ("postgresql:/u:hunter2@h/db", r"^SHOP_DATABASE: not the URL of a database"),
        ("", r"^--from: is empty; expected a folder"),
        (" ", r"^--from: is empty; expected a folder"),
    ],
)
def test_a_place_that_is_none_is_refused_without_its_password(
    project: Path, monkeypatch: pytest.MonkeyPatch, place: Path | str, message: str
) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "")
    with pytest.raises(MatineeError, match=message) as caught:
        begin("shop", place, Answers())
    assert "hunter2" not in str(caught.value)
    assert isinstance(caught.value, WrongArgument) == str(caught.value).startswith("--from")


def test_a_folder_whose_name_has_a_colon_is_no_url(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_ratings(project / "at:" / "noon").parent.parent)
    begin("shop", "at:/noon", Answers())
