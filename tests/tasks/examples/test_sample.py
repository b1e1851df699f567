"""Examples and the draw, on a warehouse of a few rows written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb import DuckDBPyConnection

from tasks.errors import TrainingError
from tasks.examples import queries, sample
from tasks.examples.queries import attribute_columns
from tasks.examples.sample import SampleResult, sample_step
from tasks.examples.sampling import draw as drawing_groups
from tasks.examples.sampling import queries as sampling
from tasks.examples.sampling.draw import StratumDraw
from tasks.examples.sampling.order import PRIME, group_hash_sql
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.runs.run import Run
from tasks.store.files import Home, read_json, sha256_file
from tasks.store.sql import identifier, literal
from tests.tasks.handmade import SNAPSHOTS, day, document, spec_of

CUT = "date '2026-02-01'"


pytestmark = pytest.mark.usefixtures("small_marts")


@pytest.fixture
def connection() -> Iterator[DuckDBPyConnection]:
    """Two users, three items; u1 was shown all three, u2 two of them. Only u1 and i1 have feature rows."""
    with duckdb.connect() as made:
        made.execute(
            f"""
            create table candidates as
            select group_id || '/' || item_id as example_id, group_id, user_id, item_id, cut,
                   position::integer as position, 0.5 as propensity, position::float as popularity_score,
                   null::float as history_score, position::float as popularity_rank, 0::float as history_rank
            from (values ('r1', 'u1', 'i2', {CUT}, 1), ('r1', 'u1', 'i1', {CUT}, 2), ('r1', 'u1', 'i3', {CUT}, 3),
                         ('r2', 'u2', 'i1', {CUT}, 1), ('r2', 'u2', 'i2', {CUT}, 2))
                 v(group_id, user_id, item_id, cut, position);
            create table groups as
            select * from (values ('r1', {CUT}, 'u1', 2, 0, 'BR'), ('r2', {CUT}, 'u2', 1, 0, 'unknown'))
                          v(group_id, cut, user_id, best, worst, region);
            create table labels as
            select * from (values ('u1', 'i1', {CUT}, 2), ('u2', 'i2', {CUT}, 1), ('u1', 'i3', {CUT} + 1, 4),
                                  ('u1', 'i9', {CUT}, 4)) v(user_id, item_id, cut, grade);
            create table feat_users as
            select * from (values ('u1', {CUT}, 'BR', 'new', 9::float), ('u1', {CUT} + 1, 'SE', 'new', 99::float))
                          v(user_id, as_of, region, tenure_band, user_tenure_days);
            alter table feat_users add column user_actions_365d float default 1;
            create table feat_items as
            select * from (values ('i1', {CUT}, 'drama', 7::float), ('i1', {CUT} - 1, 'drama', 70::float))
                          v(item_id, as_of, category, item_actions_28d);
            create table feat_user_items (user_id varchar, item_id varchar, as_of date);
            create table feat_user_categories (user_id varchar, category varchar, as_of date);
            create table interactions (user_id varchar, item_id varchar, occurred_at timestamp, ds date);
            create table drawn as
            select * from (values ('r1', {CUT}, 3.0), ('r2', {CUT}, 1.5)) v(group_id, cut, weight);
            """
        )
        yield made


def test_examples_are_candidates_with_features_and_labels_of_their_cut(connection: DuckDBPyConnection) -> None:
    spec = spec_of(sample={"groups": 9, "strata": ["region"]})
    table = connection.sql(queries.examples(spec, "drawn", [day("02-01")], DuckDBTables)).to_arrow_table()

    columns = ["example_id", "item_id", "grade", "position", "region", "weight", *spec.features, "popularity_score"]
    assert [tuple(row.values()) for row in table.select(columns).to_pylist()] == [
        # a label of another cut, and one of an item that was not shown, don't count; no row: the declared default
        ("r1/i1", "i1", 2, 2, "BR", 3.0, 7.0, 9.0, 2.0),
        ("r1/i2", "i2", 0, 1, "BR", 3.0, 0.0, 9.0, 1.0),
        ("r1/i3", "i3", 0, 3, "BR", 3.0, 0.0, 9.0, 3.0),
        ("r2/i1", "i1", 0, 1, "unknown", 1.5, 7.0, -1.0, 1.0),
        ("r2/i2", "i2", 1, 2, "unknown", 1.5, 0.0, -1.0, 2.0),
    ]
    assert {name: str(table.schema.field(name).type) for name in ("grade", *spec.features, "history_score")} == {
        "grade": "int8", "item_actions_28d": "float", "user_tenure_days": "float", "history_score": "float",
    }  # fmt: skip


def test_a_label_of_an_impression_is_of_no_other_of_its_pair(connection: DuckDBPyConnection) -> None:
    connection.execute("alter table labels add column impression_id varchar default ''")
    connection.execute("update labels set impression_id = 'r1/i1' where user_id = 'u1' and item_id = 'i1'")
    connection.execute("update labels set impression_id = 'another' where user_id = 'u2' and item_id = 'i2'")
    label = document()["label"] | {"attribution": {"to": "impression", "within": "30m"}}
    spec = spec_of(label=label, sample={"groups": 9, "strata": ["region"]})
    query = queries.examples(spec, "drawn", [day("02-01")], DuckDBTables)
    grades = {row["example_id"]: row["grade"] for row in connection.sql(query).to_arrow_table().to_pylist()}
    assert grades == {"r1/i1": 2, "r1/i2": 0, "r1/i3": 0, "r2/i1": 0, "r2/i2": 0}
    best = connection.sql(queries.groups(spec, DuckDBTables)).to_arrow_table().to_pylist()
    assert {row["group_id"]: row["best"] for row in best} == {"r1": 2, "r2": 0}


def test_a_stratum_by_items_is_of_the_highest_grade_whatever_the_order_of_rows(connection: DuckDBPyConnection) -> None:
    connection.execute(f"insert into labels values ('u2', 'i1', {CUT}, 1)")  # as good as i2, and before it by its id
    connection.execute(f"insert into feat_items values ('i2', {CUT}, 'news', 0)")
    connection.execute("insert into labels select * replace (2 as grade) from labels where item_id = 'i9'")
    spec = spec_of(sample={"groups": 9, "strata": ["region", "category"]})
    query, answers = queries.groups(spec, DuckDBTables), []
    for order in ("item_id", "item_id desc", "hash(item_id)"):
        connection.execute(f"create or replace table candidates as select * from candidates order by {order}")
        table = connection.sql(f"select group_id, category from ({query}) order by all").fetchall()
        answers.append(table)
    assert answers == [[("r1", "drama"), ("r2", "drama")]] * 3
    connection.execute("update labels set grade = 3 where user_id = 'u2' and item_id = 'i2'")
    connection.execute("update labels set grade = 3 where user_id = 'u1' and item_id = 'i3'")
    connection.execute(f"update labels set cut = {CUT} where item_id = 'i3'")
    assert connection.sql(f"select group_id, category from ({query}) order by all").fetchall() == [
        ("r1", "unknown"), ("r2", "news"),
    ]  # fmt: skip


def test_strata_by_items_are_drawn_with_the_weight_that_undoes_it(connection: DuckDBPyConnection) -> None:
    connection.execute("alter table groups add column category varchar default 'drama'")
    connection.execute("update groups set category = 'news' where group_id = 'r2'")
    connection.execute(f"insert into groups values ('r3', {CUT}, 'u3', 1, 0, 'BR', 'drama')")
    hashed = f"select *, {group_hash_sql('groups')} as group_hash from groups"
    connection.execute(f"create or replace table groups as {hashed}")
    connection.execute(f"create table sizes as select 'drama' as category, 2 as available, 1 as size, {PRIME} as bound "
                       f"union all select 'news', 1, 1, {PRIME}")  # fmt: skip
    spec = spec_of(sample={"groups": 2, "strata": ["category"]})
    assert [tuple(row) for row in connection.sql(sampling.strata(spec, [day("02-01")])).fetchall()] == [
        ("drama", 2), ("news", 1),
    ]  # fmt: skip
    drawn = connection.sql(
        f"select weight from ({sampling.draw(spec, 'sizes', [day('02-01')])}) order by all"
    ).fetchall()
    assert drawn == [(1.0,), (2.0,)]


def test_requests_of_two_users_with_one_id_are_two_groups(connection: DuckDBPyConnection) -> None:
    connection.execute(
        f"""create table impressions as
            select request_id || user_id || item_id as impression_id, request_id, user_id, item_id, 1 as position,
                   null::double as propensity, ({CUT} + 1)::timestamp as shown_at, {CUT} + 1 as ds
            from (values ('r', 'u1', 'i1'), ('r', 'u2', 'i1'), ('r', 'u2', 'i2')) v(request_id, user_id, item_id)"""
    )
    connection.execute(
        "create table request_attributes (impression_id varchar, ds date, hour integer, daypart varchar)"
    )
    rows = connection.sql(queries.shown(spec_of(), day("02-01"))).fetchall()
    assert [row[1] for row in rows] == ["r@u1", "r@u2", "r@u2"]


def test_groups_that_were_not_drawn_and_other_cuts_are_left_out(connection: DuckDBPyConnection) -> None:
    connection.execute("delete from drawn where group_id = 'r1'")
    spec = spec_of()

    def groups(*cuts: str) -> set[str]:
        query = queries.examples(spec, "drawn", [day(cut) for cut in cuts], DuckDBTables)
        return {row[1] for row in connection.sql(query).fetchall()}

    assert groups("02-01", "02-02") == {"r2"}
    assert groups("02-02") == set()
    assert groups() == set()


def test_a_request_has_the_attributes_of_its_first_impression() -> None:
    with duckdb.connect() as made:
        made.execute(
            """
            create table impressions as
            select *, 'r1' as request_id, 0.5 as propensity, date '2026-02-02' as ds, item_id || '/' || user_id as
                   impression_id, timestamp '2026-02-02 09:00:00' as shown_at
            from (values ('u1', 'i1', 2), ('u1', 'i2', 1), ('u2', 'i1', 1)) v(user_id, item_id, position);
            create table request_attributes as
            select * from (values ('i1/u1', 9, 'morning'), ('i2/u1', 8, null), ('i1/u2', 7, 'night'))
                          v(impression_id, hour, daypart), (select date '2026-02-02' as ds);
            """
        )
        rows = made.sql(queries.shown(spec_of(), day("02-01"))).to_arrow_table().to_pylist()
    assert [(row["example_id"], row["hour"], row["daypart"]) for row in rows] == [
        ("i1/u1", 8, None),  # of another user's request of the same id, nothing is taken
        ("i2/u1", 8, None),
        ("i1/u2", 7, "night"),
    ]


def test_a_list_shown_over_midnight_is_two_groups(connection: DuckDBPyConnection) -> None:
    connection.execute(f"insert into candidates select * replace ({CUT} + 1 as cut) from candidates where position = 3")
    connection.execute(f"insert into groups values ('r1', {CUT} + 1, 'u1', 4, 0, 'BR')")
    connection.execute(f"insert into drawn values ('r1', {CUT} + 1, 2.0)")

    rows = connection.sql(queries.examples(spec_of(), "drawn", [day("02-01"), day("02-02")], DuckDBTables)).fetchall()

    assert len(rows) == 6
    assert [row[5] for row in rows if row[4] == day("02-02")] == [4]


def test_an_item_shown_twice_in_a_list_has_a_place_of_its_own(connection: DuckDBPyConnection) -> None:
    connection.execute("insert into candidates select * replace ('a/' || example_id as example_id) from candidates")
    rows = connection.sql(queries.examples(spec_of(), "drawn", [day("02-01")], DuckDBTables)).fetchall()
    assert [row[0] for row in rows] == [
        f"{front}{group}/{item}"
        for group, items in (("r1", ("i1", "i2", "i3")), ("r2", ("i1", "i2")))
        for item in items
        for front in ("a/", "")
    ]


def test_attributes_are_named_once() -> None:
    spec = spec_of(
        sample={"groups": 9, "strata": ["region", "tenure_band"]},
        populations={"by": "region", "min_groups": 5},
        evaluate={"metrics": ["mrr"], "slices": ["tenure_band"]},
    )
    assert attribute_columns(spec) == ["region", "tenure_band"]


@pytest.mark.parametrize("text", ["plain", "it's", 'a "b"', "'; drop table labels; --", ""])
def test_texts_and_names_cannot_break_out(text: str, connection: DuckDBPyConnection) -> None:
    assert connection.sql(f"select {literal(text)}").fetchall() == [(text,)]
    if text:
        assert connection.sql(f"select 1 as {identifier(text)}").columns == [text]


def test_a_copy_is_whole_or_absent(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    tables = DuckDBTables(connection)
    assert tables.write("select * from groups", tmp_path / "it's.parquet") == 2
    with pytest.raises(duckdb.Error):
        tables.write("select error('half way') from groups", tmp_path / "broken.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["it's.parquet"]


def draw(connection: DuckDBPyConnection, run: Run, name: str = "fit") -> tuple[list[dict[str, Any]], dict[str, float]]:
    drawn = drawing_groups.draw(DuckDBTables(connection), run.spec, name, [day("02-01"), day("02-02")])
    strata = [stratum.to_json() for stratum in drawn]
    return strata, dict(connection.execute(f"select group_id, weight from {name} order by all").fetchall())


def many_groups(connection: DuckDBPyConnection, order: str = "n") -> None:
    """60 groups with a positive in BR, 30 in SE; 10 without in BR; 10 of a cut that is not asked for."""
    connection.execute(
        f"""
        create or replace table groups as
        select {group_hash_sql("lists")} as group_hash, *
        from (select 'g' || n as group_id, {CUT} + (case when n >= 100 then 5 else n % 2 end)::integer as cut,
                     'u' || n as user_id, case when n between 90 and 99 then 0 else 1 end as best, 0 as worst,
                     case when n % 3 = 0 and n < 90 then 'SE' else 'BR' end as region
              from range(110) t(n) order by {order}) lists
        """
    )


def of_stratum(stratum: dict[str, str], groups: int, drawn: int) -> dict[str, Any]:
    return StratumDraw(stratum=stratum, groups=groups, drawn=drawn).to_json()


def drawing(folder: Path, groups: int = 30, seed: int = 1, **rest: Any) -> Run:
    asked = {"groups": groups, "strata": ["region"], "seed": seed, **rest}
    return Run(spec_of(sample=asked), Home(folder), day("02-20"), "1")


def test_weights_undo_the_sampling(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    many_groups(connection)
    strata, drawn = draw(connection, drawing(tmp_path, allocation="equal"))

    assert strata == [
        of_stratum({"region": "BR"}, 60, 15),
        of_stratum({"region": "SE"}, 30, 15),
    ]
    assert sorted(drawn.values()) == [2.0] * 15 + [4.0] * 15
    assert sum(drawn.values()) == 90
    assert all(int(name[1:]) < 90 for name in drawn)


def test_the_draw_depends_on_neither_the_order_of_rows_nor_threads(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    found = []
    for number, (order, threads) in enumerate((("n", 1), ("-n", 2), ("hash(n)", 2))):
        connection.execute(f"set threads = {threads}")
        many_groups(connection, order)
        found.append(draw(connection, drawing(tmp_path), f"fit{number}")[1])
    assert found[0] == found[1] == found[2]
    assert draw(connection, drawing(tmp_path, seed=2), "other")[1] != found[0]


def test_a_smaller_sample_is_part_of_a_larger(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    many_groups(connection)
    small, large = (set(draw(connection, drawing(tmp_path, n), f"fit{n}")[1]) for n in (15, 60))
    assert small < large


def test_without_strata_and_with_fewer_groups_than_asked_for_all_are_drawn(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    many_groups(connection)
    strata, drawn = draw(connection, drawing(tmp_path, 1000, strata=[]))
    assert strata == [of_stratum({}, 90, 90)]
    assert set(drawn.values()) == {1.0}


class Opened:
    """A warehouse that is a connection which stays open."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self.tables = DuckDBTables(connection)

    @contextmanager
    def open(self) -> Iterator[DuckDBTables]:
        yield self.tables


@pytest.fixture
def built(connection: DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """A run whose warehouse is the hand-made one, moved to the run's cuts, with its candidates in a file."""

    def make(attempt: str = "1", **changes: Any) -> Run:
        run = Run(spec_of(**changes), Home(tmp_path / "home"), day("01-31"), attempt)
        path = tmp_path / "candidates.parquet"
        cuts = pa.table({"cut": pa.array(run.windows.refit, pa.date32())})
        connection.register("cuts_table", cuts)
        snapshots = run.spec.examples.kind == "snapshots"
        name = "c.user_id || '@' || t.cut" if snapshots else "c.group_id || '-' || t.cut"
        query = f"select c.* replace (t.cut as cut, {name} as group_id) from candidates c, cuts_table t"
        pq.write_table(connection.sql(query).to_arrow_table(), path)
        other = duckdb.connect()
        connections.append(other)
        for table, column in (("labels", "cut"), ("feat_users", "as_of"), ("feat_items", "as_of")):
            rows = connection.sql(
                f"select c.* replace (t.cut as {column}) from {table} c, cuts_table t where c.{column} = {CUT}"
            ).to_arrow_table()
            other.register("rows", rows)
            other.execute(f"create table {table} as select * from rows")
            other.unregister("rows")
        interactions = connection.sql("select * from interactions").to_arrow_table()
        other.register("rows", interactions)
        other.execute("create table interactions as select * from rows")
        other.unregister("rows")
        other.execute("create table feat_user_items (user_id varchar, item_id varchar, as_of date)")
        other.execute("create table feat_user_categories (user_id varchar, category varchar, as_of date)")

        monkeypatch.setattr(sample, "warehouse_of", lambda *_: Opened(other))
        monkeypatch.setattr(sample, "candidate_files", lambda _: {day("01-31"): path})
        return run

    connections: list[DuckDBPyConnection] = []
    return make


def rows_of(run: Run, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(run.step_dir("sample") / f"{name}.parquet").to_pylist()
    return found


def test_the_step_writes_every_window(built: Callable[..., Run]) -> None:
    run = built(sample={"groups": 100, "strata": ["region"]}, populations={"by": "region", "min_groups": 5})
    result = sample_step(run)

    windows = run.windows
    for name in ("train", "validation", "test", "refit"):
        found = rows_of(run, name)
        assert sorted({row["cut"] for row in found}) == list(getattr(windows, name))
        assert result.rows[name] == len(found) == 5 * len(getattr(windows, name))
        assert [(r["cut"], r["group_id"], r["item_id"]) for r in found] == sorted(
            (r["cut"], r["group_id"], r["item_id"]) for r in found
        )
    strata = [stratum.to_json() for stratum in result.strata]
    assert strata == read_json(run.step_dir("sample") / "strata.json")
    assert strata == [
        of_stratum({"region": "BR"}, 7, 7),  # 5 training cuts and 2 to validate
        of_stratum({"region": "unknown"}, 7, 7),  # u2 has no row in feat_users
    ]
    assert result.populations == {"BR": 7, "unknown": 7}
    assert run.read("sample", SampleResult) == result


def test_sampled_negatives_are_marked_where_they_are_trained_on_and_lists_stay_whole(built: Callable[..., Run]) -> None:
    run = built(sample={"groups": 100, "negatives": {"per_positive": 1}})
    sample_step(run)
    for name in ("train", "validation", "refit"):
        rows = rows_of(run, name)
        first = [row for row in rows if row["cut"] == rows[0]["cut"]]
        assert [row["group_id"][:2] for row in first] == ["r1"] * 3 + ["r2"] * 2
        # one positive and one negative of each list; u1 has two negatives, of which one stands for both
        kept = [(row["group_id"][:2], row["grade"] > 0, row["correction"]) for row in first if row["trained"]]
        assert sorted(kept) == [("r1", False, 2.0), ("r1", True, 1.0), ("r2", False, 1.0), ("r2", True, 1.0)]
        assert {row["weight"] for row in rows} == {1.0}
    assert {"trained", "correction"}.isdisjoint(rows_of(run, "test")[0])


def test_the_step_again_writes_the_same_bytes(built: Callable[..., Run]) -> None:
    digests = []
    for attempt in ("1", "2"):
        run = built(attempt, sample={"groups": 5})
        sample_step(run)
        folder = run.step_dir("sample")
        digests.append({p.name: sha256_file(p) for p in sorted(folder.glob("*.parquet"))})
    assert digests[0] == digests[1]
    assert sorted(digests[0]) == ["refit.parquet", "test.parquet", "train.parquet", "validation.parquet"]


def test_snapshots_also_write_what_retrieval_missed(built: Callable[..., Run]) -> None:
    run = built(
        examples=SNAPSHOTS | {"every": "2d", "train": "6d", "test": "2d"}, sample={"groups": 9, "strata": ["region"]}
    )
    run_truth = sample_step(run)

    cut = run.windows.test[0]
    found = [row for row in rows_of(run, "truth") if row["cut"] == cut]
    # u1 also acted on i9, which was not retrieved, but is no item as of the cut; u2 has no row in feat_users
    assert found == [
        {
            "group_id": f"u1@{cut}", "user_id": "u1", "cut": cut, "item_id": "i1", "grade": 2, "region": "BR",
            "seen": False,
        }
    ]  # fmt: skip
    assert run_truth.rows["test"] == 3


def saw(connection: DuckDBPyConnection, item: str, occurred: date, known: date) -> None:
    connection.execute("insert into interactions values ('u1', ?, ?, ?)", [item, occurred, known])


@pytest.mark.parametrize(
    ("rule", "occurred", "known", "seen"),
    [
        ("keep", 0, 0, True),
        ("keep", -364, -300, True),
        ("keep", -365, -365, False),  # no run may count on what is landed further back
        ("exclude", -365, -365, True),
        ("exclude", 1, 1, False),  # the future of the cut
        ("exclude", 0, 1, False),  # it had happened, and nobody knew
        ("only", 0, 0, True),
        ("only", 0, 1, False),
    ],
)
def test_a_pair_is_seen_when_it_had_happened_and_was_known(
    rule: str, occurred: int, known: int, seen: bool, built: Callable[..., Run], connection: DuckDBPyConnection
) -> None:
    """i1 is the one relevant item of u1; a rule that forbids it in lists forbids it in the truth."""
    spec = {"examples": SNAPSHOTS | {"every": "2d", "train": "6d", "test": "2d"}, "candidates": {"seen": rule}}
    cut = built(**spec).windows.test[0]
    saw(connection, "i1", cut + timedelta(days=occurred), cut + timedelta(days=known))
    run = built(**spec)
    sample_step(run)
    found = [row["seen"] for row in rows_of(run, "truth") if row["cut"] == cut and row["item_id"] == "i1"]
    allowed = rule == "keep" or seen == (rule == "only")
    assert found == ([seen] if allowed else [])
    if allowed:
        marked = {row["item_id"]: row["seen"] for row in rows_of(run, "test") if row["user_id"] == "u1"}
        assert marked == {"i1": seen, "i2": False, "i3": False}
    assert "seen" not in rows_of(run, "train")[0]


def test_nothing_positive_is_an_error_that_names_the_rules(
    built: Callable[..., Run], connection: DuckDBPyConnection
) -> None:
    connection.execute("delete from labels")
    run = built()
    expected = (
        "tiny 2026-01-31: none of the candidates of the cuts 2026-01-16 to 2026-01-24 has a grade above 0, so there is "
        "nothing to learn. The rules are: grade 1 when kind = 'play'. Look at `label` in the pipeline file and at the "
        "kinds and values in the table `interactions`."
    )
    with pytest.raises(TrainingError, match=re.escape(expected)):
        sample_step(run)
    assert not run.step_dir("sample").exists()
