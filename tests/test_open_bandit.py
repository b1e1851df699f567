"""Logged lists of two policies through a whole run: one click is one positive, and a request's features are served."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.features.engines import warehouse_of
from tasks.publishing.golden import UNSEEN
from tasks.runs.run import Run
from tests.test_attributes import answers_over_http, scores_of
from tests.test_end_to_end import published, retrieved, scored
from tests.tiny_bandit import FEATURES, LAST, PEOPLE, POLICIES, REJECTED, bandit, example, log_of
from tests.tiny_pipelines import Tiny, in_process, pipeline_file

pytestmark = [in_process, pytest.mark.slow]
REAL = Path(os.environ.get("MATINEE_DATA", Path(__file__).parents[2] / "shared" / "data")) / "open_bandit"
Log = Sequence[Mapping[str, str]]


@pytest.fixture(scope="module")
def clicked(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The example's pipeline, whose last day has been run on two small logs."""
    folder = tmp_path_factory.mktemp("clicked")
    tiny = Tiny(pipeline_file(folder, example()), LAST, folder / "home", bandit(folder / "data"))
    tiny.run()
    return tiny


def accepted() -> dict[str, Log]:
    return {policy: log_of(policy)[: -len(REJECTED)] for policy in POLICIES}


def clicks(logs: Mapping[str, Log]) -> int:
    return sum(int(row["click"]) for log in logs.values() for row in log)


def positives_of_pairs(logs: Mapping[str, Log]) -> int:
    """What `to: pair` would label: every impression of a day whose user clicked its item on that day."""
    rows = [row for log in logs.values() for row in log]
    keys = [(row["timestamp"][:10], row["item_id"], *(row[name] for name in FEATURES)) for row in rows]
    labelled = {key for key, row in zip(keys, rows, strict=True) if row["click"] == "1"}
    return sum(key in labelled for key in keys)


def labelled(run: Run) -> list[str]:
    with warehouse_of(run.home, run.spec.name).open() as tables:
        return [row[0] for row in tables.rows("select impression_id from labels where grade > 0 order by 1")]


def test_one_click_is_one_positive(clicked: Tiny) -> None:
    logs = accepted()
    numbers = sorted(
        f"{policy}/{number}" for policy, log in logs.items() for number, row in enumerate(log) if row["click"] == "1"
    )
    assert labelled(published(clicked)[0]) == numbers
    assert positives_of_pairs(logs) > 2 * clicks(logs) > 100


def test_a_list_is_what_one_policy_showed_somebody_within_an_hour(clicked: Tiny) -> None:
    run, _ = published(clicked)
    tables = [pq.read_table(run.step_dir("sample") / f"{name}.parquet") for name in ("train", "test")]
    rows = [row for table in tables for row in table.to_pylist()]
    assert max(Counter((row["group_id"], row["item_id"]) for row in rows).values()) == 1
    for row in rows:
        policy, hour, _ = row["group_id"].split("@")[0].split("/")
        assert row["example_id"].startswith(f"{policy}/")
        assert row["shown_by"] == policy
        assert row["request_hour"] == int(hour[11:13])
        assert hour[:10] == str(row["cut"] + timedelta(days=1))
        assert row["propensity"] == 0.1


def test_rejected_rows_are_kept_with_their_rule(clicked: Tiny) -> None:
    run, _ = published(clicked)
    with warehouse_of(run.home, run.spec.name).open() as tables:
        found = tables.rows("select table_name, rule, count(*) from rejected_rows group by all order by all")
    assert found == [(policy, rule, 1) for policy in sorted(POLICIES) for rule in sorted(REJECTED)]


def contexts() -> list[dict[str, Any]]:
    """Of each person what is logged, at some hours; then with a value that nobody has seen, and with nothing."""
    known = [dict(zip(FEATURES, person, strict=True)) for person in PEOPLE]
    unseen = [{**known[0], "hour": 9, name: UNSEEN} for name in FEATURES]
    return [*({**features, "hour": hour} for features in known for hour in (9, 20)), *unseen, {}]


def served_and_evaluated(
    tiny: Tiny, users: list[str], context: Mapping[str, Any]
) -> tuple[dict[tuple[str, str], tuple[float, str]], dict[tuple[str, str], tuple[float, str]]]:
    run, _ = published(tiny)
    requests = [{"user_id": user, "k": 10_000, "context": dict(context)} for user in users]
    candidates = retrieved(run, users)
    for name in ("shown_by", "hour", *FEATURES):
        kind = pa.int32() if name == "hour" else pa.string()
        column = pa.array([context.get(name)] * candidates.num_rows, kind)
        candidates = candidates.append_column(name, column)
    return scores_of(answers_over_http(tiny, requests), users), scored(run, candidates)


@pytest.mark.parametrize("context", contexts(), ids=lambda context: "-".join(map(str, context.values())) or "nothing")
def test_http_gives_the_scores_of_the_examples_to_the_last_bit(clicked: Tiny, context: dict[str, Any]) -> None:
    served, evaluated = served_and_evaluated(clicked, ["/".join(person) for person in PEOPLE], context)
    assert len(served) == 36
    assert served == evaluated


def test_what_the_log_says_of_a_request_matters(clicked: Tiny) -> None:
    user = "/".join(PEOPLE[0])
    answers = answers_over_http(clicked, [{"user_id": user, "k": 9, "context": context} for context in contexts()])
    assert len({tuple(answer["scores"]) for answer in answers}) > 2


def test_the_real_log_has_one_positive_per_click(tmp_path: Path) -> None:
    from tasks.features.build import build_step
    from tasks.sources.land import land_step

    if not REAL.is_dir():
        pytest.skip(f"{REAL} is absent; set MATINEE_DATA to the folder that holds open_bandit/")
    logs: dict[str, Log] = {}
    for policy in POLICIES:
        with (REAL / policy / "men" / "men.csv").open(encoding="utf-8") as stream:
            logs[policy] = list(csv.DictReader(stream))
    tiny = Tiny(pipeline_file(tmp_path, example()), date(2019, 11, 30), tmp_path / "home", REAL)
    run = tiny.prepared()
    land_step(run)
    build_step(run)
    assert len(labelled(run)) == clicks(logs) == 115
    assert positives_of_pairs(logs) == 650
    with warehouse_of(run.home, run.spec.name).open() as tables:
        assert tables.rows("select count(*) from impressions") == [(20_000,)]
        assert tables.rows("select count(*) from rejected_rows") == [(0,)]
