"""Attributes of people, films and requests through whole runs: examples, golden answers and HTTP agree in every bit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.descriptor import Request
from engine.errors import RequestError
from engine.evaluation import select
from tasks.publishing.golden import UNSEEN
from tasks.runs.run import Run
from tasks.store.files import read_json, write_digests
from tests.serving.test_app import ask
from tests.test_end_to_end import known_users, loaded, published, retrieved, scored, scored_by_sql
from tests.tiny_pipelines import ASKED, BANDED, RATED, RATED_DAY, SHOWN_DAY, Tiny, films, in_process, pipeline_file

if TYPE_CHECKING:
    from engine.ranking import Engine

pytestmark = [in_process, pytest.mark.slow]
DAYPARTS = ["afternoon", "evening", "morning", "night"]


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A pipeline of snapshots with attributes of users and items, whose day has been run."""
    folder = tmp_path_factory.mktemp("rated")
    tiny = Tiny(pipeline_file(folder, RATED), RATED_DAY, folder / "home", films(folder / "films"))
    tiny.run()
    return tiny


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A pipeline of impressions with attributes of the request, and bands of its hour, whose day has been run."""
    folder = tmp_path_factory.mktemp("asked")
    changes = {
        "bands": {"shift": {"of": "hour", "edges": [6, 14, 22]}},
        "features": [*ASKED["features"], "request_shift"],
        "evaluate": {**ASKED["evaluate"], "slices": ["daypart", "shift"]},
    }
    tiny = Tiny(pipeline_file(folder, ASKED, **changes), SHOWN_DAY, folder / "home")
    tiny.run()
    return tiny


@pytest.fixture(scope="module")
def banded(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A pipeline whose strata, slices, populations, features and re-ranking are by bands, whose day has been run."""
    folder = tmp_path_factory.mktemp("banded")
    tiny = Tiny(pipeline_file(folder, BANDED), RATED_DAY, folder / "home", films(folder / "films"))
    tiny.run()
    return tiny


def answers_over_http(tiny: Tiny, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from serving.champion import Champion

    run, _ = published(tiny)
    champion = Champion(run.home.registry(run.spec.name).parent, run.spec.name)
    responses = ask(champion, *(("POST", "/rank", request) for request in requests))
    assert {response.status_code for response in responses} == {200}
    return [response.json() for response in responses]


def scores_of(answers: list[dict[str, Any]], users: list[str]) -> dict[tuple[str, str], tuple[float, str]]:
    return {
        (user, item): (score, answer["population"])
        for user, answer in zip(users, answers, strict=True)
        for item, score in zip(answer["items"], answer["scores"], strict=True)
    }


def test_http_gives_the_scores_of_the_examples_to_the_last_bit(rated: Tiny) -> None:
    run, _ = published(rated)
    users = known_users(run)
    answers = answers_over_http(rated, [{"user_id": user, "k": 10_000} for user in users])
    served = scores_of(answers, users)
    assert len(served) > 300
    assert {population for _, population in served.values()} == {"*", "F", "M"}  # somebody does not say
    assert served == scored_by_sql(run, users)


def test_examples_have_the_attributes_of_their_cut(rated: Tiny) -> None:
    run, _ = published(rated)
    texts = read_json(run.step_dir("sample") / "categories.json")
    assert texts["user_occupation"] == ["artist", "student", 'writer, "freelance"']
    table = pq.read_table(run.step_dir("sample") / "train.parquet")
    rows = {(row["user_id"], row["item_id"]): row for row in table.to_pylist()}
    row = next(row for (user, item), row in rows.items() if user == "8" and item != "0")
    assert (row["user_age"], row["user_student"], row["age_band"]) == (23.0, 1.0, "18-24")
    assert texts["user_occupation"][int(row["user_occupation"])] == "student"
    assert row["item_release_year"] == 1950 + int(row["item_id"])
    unknown = next(row for (user, _), row in rows.items() if user == "7")  # has neither told age nor occupation
    assert (unknown["user_age"], unknown["user_age_band"], unknown["user_occupation"]) == (None, None, None)
    assert unknown["age_band"] == "unknown"


def test_the_overlap_is_that_of_the_past_as_of_the_cut(rated: Tiny) -> None:
    """From the files themselves, counted by hand."""
    from collections import Counter
    from datetime import date, timedelta

    from tests.tiny_pipelines import GENRES

    run, _ = published(rated)
    assert rated.data is not None
    lists = {}
    for line in (rated.data / "u.item").read_text().splitlines():
        item, *_, flags = line.split("|", 6)
        lists[item] = {genre for genre, flag in zip(GENRES, flags.split("|"), strict=True) if flag == "1"}
    ratings = [line.split("\t") for line in (rated.data / "u.data").read_text().splitlines()]
    table = pq.read_table(run.step_dir("sample") / "test.parquet")
    assert table.num_rows > 100
    for row in table.to_pylist():
        end = (row["cut"] + timedelta(days=1) - date(1970, 1, 1)).days * 86_400
        past = Counter(
            genre
            for user, item, _, seconds in ratings
            if user == row["user_id"] and int(seconds) < end
            for genre in lists[item]
        )
        shared = sum(count for genre, count in past.items() if genre in lists[row["item_id"]])
        expected = shared / past.total() if past else 0.0
        assert row["item_genres_overlap"] == pa.scalar(expected, pa.float32()).as_py()


def test_strata_slices_and_populations_are_of_declared_attributes(rated: Tiny) -> None:
    run, _ = published(rated)
    records = loaded(rated).descriptor.evaluation.records
    slices = {str(record.slice) for record in select(records, of="model", is_overall=False) if record.slice}
    assert {"student=true", "student=false", "occupation=artist", "occupation=unknown"} <= slices
    assert {record.population for record in records} == {"*", "F", "M"}
    strata = read_json(run.step_dir("sample") / "strata.json")
    assert {row["stratum"]["age_band"] for row in strata} >= {"unknown", "18-24", "25-34"}


def with_contexts(run: Run, users: list[str]) -> tuple[list[dict[str, Any]], pa.Table]:
    """A context for each user, some with texts that nobody has seen; and the same as columns of candidates."""
    contexts = [{"hour": number % 24, "daypart": [*DAYPARTS, UNSEEN, None][number % 6]} for number in range(len(users))]
    candidates = retrieved(run, users)
    place = {user: number for number, user in enumerate(users)}
    owner = [place[user] for user in candidates["user_id"].to_pylist()]
    for key, kind in (("hour", pa.int32()), ("daypart", pa.string())):
        column = pa.array([contexts[number][key] for number in owner], kind)
        candidates = candidates.append_column(key, column)
    return [{key: value for key, value in context.items() if value is not None} for context in contexts], candidates


def test_a_context_is_read_as_the_examples_read_the_request(asked: Tiny) -> None:
    run, _ = published(asked)
    users = known_users(run)
    contexts, candidates = with_contexts(run, users)
    requests = [
        {"user_id": user, "k": 10_000, "context": context} for user, context in zip(users, contexts, strict=True)
    ]
    served = scores_of(answers_over_http(asked, requests), users)
    assert len(served) > 300
    assert served == scored(run, candidates)


def test_the_context_matters_and_an_unseen_text_is_a_missing_one(asked: Tiny) -> None:
    engine: Engine = loaded(asked)
    user = known_users(published(asked)[0])[0]
    contexts = [{"daypart": daypart} for daypart in DAYPARTS] + [{"daypart": UNSEEN}, {}, {"not read": 1.0}]
    answers = engine.rank([Request(user_id=user, context=context) for context in contexts])
    scores = [tuple(sorted(answer.scores)) for answer in answers]
    assert scores[4] == scores[5] == scores[6]
    hours = [Request(user_id=user, context={"hour": float(hour)}) for hour in range(24)]
    assert len({tuple(answer.scores) for answer in engine.rank(hours)} | set(scores)) > 1


def test_golden_requests_have_texts_that_are_known_and_unseen(asked: Tiny, rated: Tiny) -> None:
    descriptor = loaded(asked).descriptor  # replays them
    contexts = [vector.request.context for vector in descriptor.golden if vector.request.context]
    assert [context["daypart"] for context in contexts] == ["afternoon", "night", UNSEEN]
    assert descriptor.input["context"] == {"hour": "number?", "daypart": "string?"}
    assert "categories.json" in descriptor.artifacts
    assert "features/item_genres_overlap.parquet" in loaded(rated).descriptor.artifacts
    assert any(vector.request.user_id == "nobody-knows-me" for vector in loaded(rated).descriptor.golden)


def test_a_context_of_another_type_is_refused_in_words(asked: Tiny) -> None:
    from serving.champion import Champion

    run, _ = published(asked)
    champion = Champion(run.home.registry(run.spec.name).parent, run.spec.name)
    bad = [{"hour": "noon"}, {"hour": True}, {"daypart": 7}, {"daypart": None}, {"daypart": "x" * 513}, {"hour": 1e39}]
    bad += [{str(number): 1 for number in range(65)}, {"": "x"}]
    responses = ask(champion, *(("POST", "/rank", {"user_id": "u1", "context": context}) for context in bad))
    assert {response.status_code for response in responses} == {422}
    texts = [response.json()["error"] for response in responses]
    assert texts[0] == 'context.hour: found "noon", expected a number'
    assert texts[1] == "context.hour: found true, expected a number"
    assert texts[2] == "context.daypart: found 7.0, expected a text"
    assert all("context" in text for text in texts)


def test_a_champion_with_another_dictionary_reads_the_same_texts(rated: Tiny) -> None:
    """Codes of the run are translated: a champion scores the same texts as it would with its own codes."""
    from tasks.evaluation.champion import _in_its_codes
    from tasks.store.registry import version_dir

    run, version = published(rated)
    folder, descriptor = version_dir(run.home, run.spec.name, version), loaded(rated).descriptor
    table = pq.read_table(run.step_dir("sample") / "test.parquet")
    assert _in_its_codes(run, descriptor, folder, table)["user_occupation"] == table["user_occupation"]
    write = run.step_dir("sample") / "categories.json"
    before = write.read_text()
    try:
        write.write_text(before.replace('"artist"', '"abbot"'))
        write_digests(write.parent)
        recoded = _in_its_codes(run, descriptor, folder, table)["user_occupation"].to_pylist()
    finally:
        write.write_text(before)
        write_digests(write.parent)
    expected = [None if code == 0.0 else code for code in table["user_occupation"].to_pylist()]
    assert recoded == expected
    assert None in recoded


AGES = ["under 25", "25 to under 40", "40 or more"]


def test_bands_are_strata_slices_populations_and_features(banded: Tiny) -> None:
    run, _ = published(banded)
    records = loaded(banded).descriptor.evaluation.records
    slices = {record.slice for record in select(records, of="model", is_overall=False) if record.slice}
    assert {name for name in slices if "age_group" in name} == {f"age_group={band}" for band in [*AGES, "unknown"]}
    assert {record.population for record in records} == {"*", *AGES}
    strata = read_json(run.step_dir("sample") / "strata.json")
    assert {row["stratum"]["age_group"] for row in strata} == {*AGES, "unknown"}
    texts = read_json(run.step_dir("sample") / "categories.json")
    assert texts["user_age_group"] == sorted(AGES)
    table = pq.read_table(run.step_dir("sample") / "train.parquet")
    for row in table.to_pylist():
        age, year = row["user_age"], row["item_release_year"]
        band = "unknown" if age is None else AGES[(age >= 25) + (age >= 40)]
        assert row["age_group"] == band
        assert row["user_age_group"] == (None if age is None else texts["user_age_group"].index(band))
        decade = "under 1955" if year < 1955 else "1955 to under 1960" if year < 1960 else "1960 to under 1970"
        assert texts["item_decade"][int(row["item_decade"])] == ("1970 or more" if year >= 1970 else decade)


def test_serving_chooses_the_band_that_the_examples_have(banded: Tiny) -> None:
    run, _ = published(banded)
    users = known_users(run)
    served = scores_of(answers_over_http(banded, [{"user_id": user, "k": 10_000} for user in users]), users)
    assert len(served) > 300
    assert {population for _, population in served.values()} == {"*", *AGES}  # one does not say
    assert served == scored_by_sql(run, users)


def test_the_descriptor_has_the_edges_and_the_context_may_have_the_number(banded: Tiny) -> None:
    engine: Engine = loaded(banded)
    ranker = engine.descriptor.model_dump(mode="json")["ranker"]
    assert (ranker["by"], ranker["bands"]) == ("age_group", {"of": "age", "edges": [25.0, 40.0]})
    contexts: list[dict[str, Any]] = [{"age": 24.999}, {"age": 25}, {"age": 40}, {"age_group": "under 25"}]
    contexts.append({"age_group": "an age that nobody has"})
    answers = engine.rank([Request(user_id="7", context=context) for context in [{}, *contexts]])
    assert [answer.population for answer in answers] == ["*", *AGES, "under 25", "*"]
    with pytest.raises(RequestError, match=r'context\.age: found "old", expected a number'):
        engine.rank([Request(user_id="7", context={"age": "old"})])


def test_lists_are_diversified_by_the_decade_of_the_film(banded: Tiny) -> None:
    ranker = loaded(banded).populations.rankers["*"]
    assert ranker.diversity is not None
    assert len(set(ranker.diversity.classes.tolist())) == 4


def test_hours_of_one_shift_are_one_text(asked: Tiny) -> None:
    run, _ = published(asked)
    texts = read_json(run.step_dir("sample") / "categories.json")["request_shift"]
    table = pq.read_table(run.step_dir("sample") / "train.parquet")
    read = {(row["request_hour"], texts[int(row["request_shift"])]) for row in table.to_pylist()}
    shifts = [(6, "under 6"), (14, "6 to under 14"), (22, "14 to under 22"), (24, "22 or more")]
    assert read <= {(hour, next(name for end, name in shifts if hour < end)) for hour in range(24)}
    assert len({text for _, text in read}) > 1


def test_slices_by_items_are_of_the_relevant_items_of_a_value(banded: Tiny) -> None:
    """Every slice by genres counted again from the files: nDCG by hand, with what has the genre alone as relevant."""
    from tasks.evaluation.evaluate import model_scores
    from tasks.evaluation.final_lists import FinalLists

    run, _ = published(banded)
    figures = {r.slice: r for r in select(loaded(banded).descriptor.evaluation.records, metric="ndcg@10", of="model")}
    folder = run.step_dir("sample")
    table = pq.read_table(folder / "test.parquet")
    scores = FinalLists(run, table).rank(model_scores(run, table), run.spec.rerank).final.tolist()
    keys = zip(table["group_id"].to_pylist(), table["item_id"].to_pylist(), scores, strict=True)
    ranked: dict[str, list[str]] = {}
    for group, item, _ in sorted(keys, key=lambda key: (key[0], -key[2], key[1])):
        ranked.setdefault(group, []).append(item)
    truth = [row for row in pq.read_table(folder / "truth.parquet").to_pylist() if row["cut"] in run.windows.test]
    rows = pq.read_table(folder / "item_slices.parquet").to_pylist()
    genres = {(row["item_id"], row["cut"]): row["genres"] or ["unknown"] for row in rows}
    values = {value for some in genres.values() for value in some}
    assert len(values) > 3
    for value in values:
        wanted: dict[str, set[str]] = {}
        for row in truth:
            if value in genres[row["item_id"], row["cut"]]:
                wanted.setdefault(row["group_id"], set()).add(row["item_id"])
        each = [ndcg_at_10(ranked.get(group, []), items) for group, items in wanted.items()]
        figure = figures[f"genres={value}"]
        assert (figure.groups, figure.value) == (len(each), pytest.approx(sum(each) / len(each), abs=1e-9))
        assert figure.definition.endswith(f"/relevant only if genres={value}")
    assert sum("genres" in str(piece) for piece in figures) == len(values)


def ndcg_at_10(ranked: list[str], relevant: set[str]) -> float:
    gained = sum(1 / math.log2(place + 2) for place, item in enumerate(ranked[:10]) if item in relevant)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(10, len(relevant))))


def test_a_stratum_by_items_is_that_of_the_item_with_the_highest_grade(banded: Tiny) -> None:
    from collections import Counter

    run, _ = published(banded)
    strata = read_json(run.step_dir("sample") / "strata.json")
    texts = read_json(run.step_dir("sample") / "categories.json")["item_decade"]
    best: dict[str, dict[str, Any]] = {}
    for row in pq.read_table(run.step_dir("sample") / "train.parquet").to_pylist():  # every group is drawn
        before = best.setdefault(row["group_id"], row)
        best[row["group_id"]] = min(before, row, key=lambda one: (-one["grade"], one["item_id"]))
    expected = Counter((row["age_group"], texts[int(row["item_decade"])]) for row in best.values())
    assert {(row["stratum"]["age_group"], row["stratum"]["decade"]): row["groups"] for row in strata} == expected
    assert len({decade for _, decade in expected}) > 2
