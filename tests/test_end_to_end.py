"""Whole runs of two tiny pipelines: what they leave, and the invariants of the design that only whole runs show.

1 order-free and idempotent · 2 no time travel · 3 one engine · 4 nothing half-published.
"""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.evaluation import alone, select
from tasks.evaluation.results import EvaluateResult, records_if_valid
from tasks.evaluation.single_features import single_names
from tasks.features.build import BuildResult, DaySpan
from tasks.publishing.results import PublishResult
from tasks.runs.outcome import ReportResult
from tasks.runs.run import Run
from tasks.store.files import Home
from tasks.store.registry import Alias, alias, version_dir
from tasks.store.timeline import timeline
from tests.tiny_pipelines import CUSTOMERS, HEADER, PRODUCTS, Tiny, days, in_process, parsed_once, shop

if TYPE_CHECKING:
    from engine.ranking import Engine

pytestmark = in_process


@pytest.fixture(params=["shown", "bought"])
def tiny(request: pytest.FixtureRequest) -> Tiny:
    """Each of the pipelines, already run."""
    tiny: Tiny = request.getfixturevalue(request.param)
    return tiny


def published(tiny: Tiny) -> tuple[Run, str]:
    run = tiny.prepared()
    return run, run.read("publish", PublishResult).version


def loaded(tiny: Tiny) -> Engine:
    from engine.ranking import load

    run, version = published(tiny)
    return load(version_dir(run.home, run.spec.name, version))


def test_a_run_publishes_one_version_and_points_to_it(tiny: Tiny) -> None:
    run, version = published(tiny)
    name = run.spec.name
    assert version.startswith(f"{tiny.as_of}.")
    assert list(tiny.versions) == [version]
    (event,) = timeline(run.home, name)
    assert alias(run.home, name, "champion") == Alias(version=version, as_of=tiny.as_of, content=event.content)
    assert loaded(tiny).descriptor.content == event.content
    assert (event.version, event.live, event.why) == (version, True, "all gates passed")
    assert run.read("report", ReportResult).good is True
    assert not (run.dir / "errors").exists() or not list((run.dir / "errors").iterdir())
    leftovers = [path for path in tiny.home.rglob(".*") if path.name not in {".lock", ".user.yml"}]
    assert leftovers == []


def test_what_was_measured_is_in_the_version(tiny: Tiny) -> None:
    run, _ = published(tiny)
    descriptor = loaded(tiny).descriptor
    records = records_if_valid(run.step_dir("evaluate"))
    assert records == list(descriptor.evaluation.records)
    measured = {record.of: record.value for record in select(descriptor.evaluation.records, is_overall=True)}
    assert measured.keys() == {"model", *run.spec.evaluate.baselines, *map(alone, single_names(run.spec))}
    assert all(0.0 < (value or 0.0) < 1.0 for value in measured.values())


def test_golden_answers_are_given_again(tiny: Tiny) -> None:
    engine = loaded(tiny)  # replays them
    assert len(engine.descriptor.golden) >= 8
    assert all(vector.response for vector in engine.descriptor.golden)


def test_serving_scores_are_those_of_the_examples_sql_to_the_last_bit(tiny: Tiny) -> None:
    """Invariant 3: what the training SQL says of a pair as of the day is what the engine computes for it."""
    run, _ = published(tiny)
    engine = loaded(tiny)
    users = known_users(run)
    served = scored_by_engine(engine, users)
    assert len(served) > 300
    assert served == scored_by_sql(run, users)


def scored_by_engine(engine: Engine, users: list[str]) -> dict[tuple[str, str], tuple[float, str]]:
    """The score and the population of every pair that the engine ranks."""
    from engine.descriptor import Request

    answers = engine.rank([Request(user_id=user, k=10_000) for user in users])
    return {
        (user, item): (score, answer.population)
        for user, answer in zip(users, answers, strict=True)
        for item, score in zip(answer.items, answer.scores, strict=True)
    }


def known_users(run: Run) -> list[str]:
    table = pq.read_table(run.step_dir("sample") / "serving" / "user.parquet", columns=["user_id"])
    users: list[str] = table["user_id"].to_pylist()
    return users


def scored_by_sql(run: Run, users: list[str]) -> dict[tuple[str, str], tuple[float, str]]:
    """Score and population of every candidate as of the day, with features joined by the examples' statement."""
    return scored(run, retrieved(run, users))


def scored(run: Run, candidates: pa.Table) -> dict[tuple[str, str], tuple[float, str]]:
    """The same of given candidates."""
    from engine.trees import Trees
    from tasks.evaluation.evaluate import populations_of
    from tasks.examples import queries
    from tasks.examples.arrays import matrix
    from tasks.examples.feature_sql import CODES
    from tasks.examples.sample import codes_table, read_categories
    from tasks.features.engines import warehouse_of
    from tasks.spec.populations import slug
    from tasks.training.train import populations

    with warehouse_of(run.home, run.spec.name).open() as tables:
        tables.add("candidates", candidates)
        tables.add(CODES, codes_table(read_categories(run)))
        tables.create("groups", queries.groups(run.spec, type(tables)))
        tables.create("drawn", "select group_id, cut, cast(1.0 as double) as weight from groups")
        table = tables.arrow(queries.examples(run.spec, "drawn", [run.as_of], type(tables)))
    assert table.num_rows == candidates.num_rows
    of_rows = populations_of(run, table)
    scores = np.zeros(table.num_rows)
    for name in populations(run):
        trees = Trees.load(run.step_dir(f"train/{slug(name)}") / "published" / "trees.txt")
        scores[of_rows == name] = trees.predict(matrix(table, run.spec.features))[of_rows == name]
    pairs = zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True)
    return dict(zip(pairs, zip(scores.tolist(), of_rows.tolist(), strict=True), strict=True))


def retrieved(run: Run, users: list[str]) -> pa.Table:
    """The candidates of users as of the day, as the step `retrieve` writes them for a cut."""
    from engine.candidates import ranks_of, scores_of, union
    from tasks.examples.candidates import made_folders
    from tasks.examples.retrievers import load_retrievers
    from tasks.examples.seen import load_rule

    folder = made_folders(run)[run.as_of]
    items, retrievers = load_retrievers(run.spec, folder)
    names = np.asarray(users, dtype=np.str_)
    pairs = union(retrievers, names, load_rule(run.spec, folder, items))
    scores: dict[str, Any] = scores_of([part.identity for part in run.spec.retrieval], retrievers, names, pairs)
    if run.spec.examples.kind == "snapshots":
        scores |= {
            f"{part.identity}_rank": ranks_of(pairs, scores[f"{part.identity}_score"]) for part in run.spec.retrieval
        }
    owner, size = names[pairs.rows], len(pairs.items)
    return pa.table(
        {
            "example_id": pa.array([str(number) for number in range(size)]),
            "group_id": owner,
            "user_id": owner,
            "item_id": items.ids.values[pairs.items],
            "cut": pa.array([run.as_of] * size, pa.date32()),
            "position": pa.nulls(size, pa.int32()),
            "propensity": pa.nulls(size, pa.float64()),
            **{name: pa.array(values, from_pandas=True) for name, values in scores.items()},
        }
    )


@pytest.mark.slow
def test_the_same_run_elsewhere_is_the_same_version_byte_for_byte(shown: Tiny, tmp_path: Path) -> None:
    """The other kind of examples: see `test_processors`."""
    again = shown.elsewhere(tmp_path / "other home")
    again.make_version(attempt="another-attempt", cores=1)
    assert again.versions == shown.versions


@pytest.mark.slow
def test_a_run_again_publishes_nothing_new(bought: Tiny, tmp_path: Path) -> None:
    """Also with the warehouse and the retrieval models gone: they are a cache of the landing."""
    again = bought.copied(tmp_path / "home")
    shutil.rmtree(tmp_path / "home" / "warehouse")
    shutil.rmtree(tmp_path / "home" / "retrieval")
    run = again.make_version(attempt="2")
    assert run.read("publish", PublishResult).new is False
    assert again.versions == bought.versions
    assert len(timeline(run.home, run.spec.name)) == 1
    assert tables(again) == tables(bought)


def tables(tiny: Tiny) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables that models and samples are made from."""
    from tasks.features.engines import warehouse_of

    names = ("feat_users", "feat_items", "feat_user_items", "feat_user_categories", "labels", "rejected_rows")
    with warehouse_of(Home(tiny.home), tiny.file.stem).open() as tables:
        return {name: tables.rows(f"select * from {name} order by all") for name in names}


@pytest.mark.slow
def test_days_in_any_order_end_in_the_same_versions_and_tables(shown: Tiny, tmp_path: Path) -> None:
    """The other kind of examples: see `test_any_order`."""
    before = shown.as_of - timedelta(days=1)
    forward, backward = shown.elsewhere(tmp_path / "forward"), shown.copied(tmp_path / "backward")
    first = forward.make_version(before).read("publish", PublishResult).version
    run = forward.make_version()
    backward.make_version(before)
    assert len(forward.versions) == 2
    assert forward.versions == backward.versions
    assert tables(forward) == tables(backward)
    champion = alias(Home(backward.home), "shown", "champion")
    assert champion is not None
    assert champion.as_of == shown.as_of  # a day that is caught up on does not move it backwards
    assert_champion_left_no_trace(shown, forward, run, first)


def assert_champion_left_no_trace(shown: Tiny, forward: Tiny, run: Run, first: str) -> None:
    """The champion is evaluated as of the day, and recorded only in the run and in the timeline."""
    evaluated = run.read("evaluate", EvaluateResult)
    assert evaluated.champion is not None
    assert (evaluated.champion.version, evaluated.champion.problem) == (first, None)
    assert 0.0 < (evaluated.metrics["ndcg@10"]["champion"] or 0.0) < 1.0
    none, compared = (event.against_champion[0] for event in timeline(run.home, "shown"))
    assert none["detail"] == f"no champion before {shown.as_of - timedelta(days=1)}"
    assert compared["detail"].endswith(f"new to the champion {first}")
    version = run.read("publish", PublishResult).version
    assert forward.versions[version] == shown.versions[version]


def built(tiny: Tiny, as_of: date) -> None:
    """Land and build a later day, without checking its data; rows that happened earlier must be among its rows."""
    from tasks.features.build import build_step
    from tasks.features.engines import warehouse_of
    from tasks.sources.land import land_step

    run = tiny.prepared(as_of, attempt="the-future")
    land_step(run)
    with parsed_once(run):
        build_step(run)
    with warehouse_of(run.home, run.spec.name).open() as tables:
        query = "select count(*), count(*) filter (where occurred_at::date <= ?) from interactions where ds > ?"
        after, known_late = tables.rows(query, [tiny.as_of, tiny.as_of])[0]
    assert after > known_late > 0


@pytest.mark.slow
def test_what_arrives_later_does_not_exist_for_the_day(shown: Tiny, tmp_path: Path) -> None:
    """Members' devices report up to three days late: those rows are in the warehouse already when the day is run."""
    later = shown.elsewhere(tmp_path / "home")
    built(later, shown.as_of + timedelta(days=4))
    later.make_version()
    assert later.versions == shown.versions


@pytest.mark.slow
def test_absurd_rows_after_the_day_change_nothing(bought: Tiny, tmp_path: Path) -> None:
    """Every customer buys a thousand of everything on the next days, and on days long past that become known then."""
    data = shop(tmp_path / "shop")
    for day in days(bought.as_of + timedelta(days=1), bought.as_of + timedelta(days=3)):
        lines = [
            f"599{customer:02}{product:02},{20000 + product},ABSURD,1000,{when} 12:00:00,1.0,{12000 + customer},Nowhere"
            for customer in range(CUSTOMERS)
            for product in range(PRODUCTS)
            for when in (day, date(2011, 2, 10))
        ]
        (data / f"{day}.csv").write_text("\n".join([HEADER, *lines, ""]))
    later = Tiny(bought.file, bought.as_of, tmp_path / "home", data)
    built(later, bought.as_of + timedelta(days=3))
    later.make_version()
    assert later.versions == bought.versions


@pytest.mark.slow
def test_a_corrected_day_is_another_version(bought: Tiny, tmp_path: Path) -> None:
    """The counterpart of the tests above: what is part of the day's past does matter."""
    corrected = Tiny(bought.file, bought.as_of, tmp_path / "home", shop(tmp_path / "shop"))
    shutil.copytree(bought.home, corrected.home)
    file = tmp_path / "shop" / "2011-02-01.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-3]) + "\n")
    run = corrected.make_version(attempt="corrected")
    assert run.read("build", BuildResult).partitions_loaded == DaySpan.of([date(2011, 2, 1)])
    assert len(corrected.versions) == 2
    assert alias(run.home, run.spec.name, "champion") == Alias(
        version=run.read("publish", PublishResult).version,
        as_of=bought.as_of,
        content=run.read("publish", PublishResult).content,
    )


def test_a_run_that_another_landing_overtook_does_not_mix_the_two(bought: Tiny, tmp_path: Path) -> None:
    """Else what is kept under the digests of the new landing would be made from tables of the old one, for good."""
    from tasks.errors import BuildError
    from tasks.examples.candidates import retrieve_step
    from tasks.examples.sample import sample_step
    from tasks.features.build import build_step
    from tasks.sources.land import land_step

    tiny = Tiny(bought.file, bought.as_of, tmp_path / "home", shop(tmp_path / "shop"))
    shutil.copytree(bought.home, tiny.home)
    ahead, behind = (tiny.prepared(attempt=name) for name in ("ahead", "behind"))
    for step in (land_step, build_step, retrieve_step):
        step(ahead)
    land_step(behind)
    build_step(behind)
    file = tmp_path / "shop" / "2011-02-01.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-3]) + "\n")
    land_step(tiny.prepared(attempt="correction"))
    with pytest.raises(BuildError, match="changed since the tables were built"):
        retrieve_step(behind)
    with pytest.raises(BuildError, match="changed since the step `retrieve`"):
        sample_step(ahead)


@pytest.mark.parametrize("threads", [1, 2])
def test_folded_in_users_do_not_depend_on_the_threads_of_blas(threads: int, bought: Tiny, tmp_path: Path) -> None:
    from threadpoolctl import threadpool_limits

    from tasks.examples.candidates import made_folders, retrieve_step

    again = bought.copied(tmp_path / "home")
    shutil.rmtree(tmp_path / "home" / "retrieval")
    run, first = again.prepared(attempt="again"), bought.prepared()
    with threadpool_limits(threads, "blas"):
        retrieve_step(run)
    refitted, before = (made_folders(each)[run.as_of] / "als.npz" for each in (run, first))
    assert refitted.read_bytes() == before.read_bytes()
