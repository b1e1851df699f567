"""Kinds of a pipeline's own and their weights, through whole runs: popularity is counted again from the files.

The shop of the other tests, but for its staging: a line of four pieces or more is of the kind `bulk`, which no pipeline
knows unless its file declares it.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tasks.examples.candidates import CANDIDATES, made_folders, retrieve_step
from tasks.features.build import build_step
from tasks.proof.prove import OTHERS, prove, work_folder
from tasks.runs import sql_lineage
from tasks.runs.run import Run
from tasks.sources.land import land_step
from tasks.spec.project import TRANSFORMS, Layers
from tests.copied_transforms import copied_transforms, edit
from tests.test_end_to_end import known_users, loaded, scored_by_engine, scored_by_sql
from tests.thorough import thorough
from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, Tiny, in_process, parsed_once, pipeline_file, shop, threads

pytestmark = [in_process, pytest.mark.slow]

AHEAD = 3
HONEST = "else 'purchase'"
BULK: dict[str, Any] = {
    "interactions": {"kinds": {"bulk": {"weight": 10}, "purchase": {"least": 2}}},
    "label": {
        "horizon": "10d", "lateness": "0d",
        "grades": [{"grade": 2, "pair": "bulk_count > 0"}, {"grade": 1, "when": "kind in ('purchase', 'bulk')"}],
    },
    "retrieval": [*BOUGHT["retrieval"], {"type": "item_item", "k": 10}],
    "gates": [{"metric": "ndcg@10", "not_worse_than": "popularity", "margin": 1.0}],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def staging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A copy of the SQL project with another staging, which is built instead of it."""
    with pytest.MonkeyPatch.context() as patch:
        copy = copied_transforms(tmp_path_factory.mktemp("project"), patch)
        edit(copy / "models/staging/online_retail/stg_lines.sql", HONEST, f"when quantity >= 4 then 'bulk' {HONEST}")
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop(tmp_path_factory.mktemp("shop"), last=BOUGHT_DAY + timedelta(days=AHEAD))


@pytest.fixture(scope="module")
def tiny(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A day that was run with an own kind and weights."""
    folder = tmp_path_factory.mktemp("bulk")
    tiny = Tiny(pipeline_file(folder, BOUGHT, name="bulk", **BULK), BOUGHT_DAY, folder / "home", data)
    tiny.run()
    return tiny


def sold(data: Path, cut: date) -> Iterator[tuple[str, int]]:
    """Product and pieces of every line of the 28 days up to a cut."""
    for number in range(28):
        file = data / f"{cut - timedelta(days=number)}.csv"
        if file.exists():
            lines = set(map(tuple, csv.reader(file.read_text(encoding="utf-8").splitlines()[1:])))
            yield from ((line[1], int(line[3])) for line in lines)


def popularity(folder: Path) -> dict[str, float]:
    arrays = np.load(folder / "popularity.npz")
    return dict(zip(arrays["item_ids"].tolist(), arrays["scores"].tolist(), strict=True))


def best(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda item: (-scores[item], item))[:3]


def test_popularity_is_what_the_weights_and_the_least_value_make_of_the_files(tiny: Tiny, data: Path) -> None:
    tops = []
    for cut, folder in made_folders(tiny.prepared()).items():
        weights, lines = Counter[str](), Counter[str]()
        for product, pieces in sold(data, cut):
            weights[product] += 10 if pieces >= 4 else 1 if pieces >= 2 else 0
            lines[product] += 1
        scores = popularity(folder)
        assert {item: score for item, score in scores.items() if score} == {k: v for k, v in weights.items() if v}
        assert len(weights) > 10
        tops.append((best(scores), best(dict(lines))))
    assert all(weighted != counted for weighted, counted in tops), "lines alone would have made the same lists"


def test_the_baseline_ranks_by_the_weights(tiny: Tiny) -> None:
    """The scores in the evaluated examples are those of the cut's model."""
    run = tiny.prepared()
    test = pd.read_parquet(run.step_dir("sample") / "test.parquet")
    for cut, rows in test.groupby("cut"):
        scores = popularity(made_folders(run)[pd.Timestamp(cut).date()])
        found = rows.drop_duplicates("item_id").set_index("item_id")["popularity_score"].to_dict()
        assert found == {item: scores[item] for item in found}
    # Of the marts, which know no weights, lines still count one each.
    assert test["item_actions_28d"].max() < test["popularity_score"].max()


def test_what_is_served_is_what_was_evaluated_to_the_last_bit(tiny: Tiny) -> None:
    run = tiny.prepared()
    users = known_users(run)
    served = scored_by_engine(loaded(tiny), users)
    assert len(served) > 100
    assert served == scored_by_sql(run, users)


@thorough
def test_nothing_that_happens_or_is_known_later_changes_the_run(tiny: Tiny, tmp_path: Path) -> None:
    run, console = tiny.elsewhere(tmp_path / "home").prepared(attempt="prove"), Console(quiet=True)
    with threads(2), work_folder(run, console, tmp_path / "scratch", keep=False) as folder:
        proof = prove(run, console, folder, days=AHEAD, scenarios=OTHERS)
    assert {c.name: c.differences for c in proof.comparisons if any(c.differences.values())} == {}
    assert proof.passed


def retrieved(folder: Path, data: Path, **changes: Any) -> Run:
    """The run of a pipeline up to its candidates."""
    file = pipeline_file(folder, BOUGHT, retrieval=BULK["retrieval"], **changes)
    run = Tiny(file, BOUGHT_DAY, folder / "home", data).prepared()
    with threads(2), parsed_once(run):
        for step in (land_step, build_step, retrieve_step):
            step(run)  # type: ignore[operator]
    return run


def test_weights_of_1_change_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model and every candidate is the same, byte by byte, with the staging of the project."""
    monkeypatch.setattr(sql_lineage, "transforms", lambda: Layers((TRANSFORMS,)))
    runs = [
        retrieved(tmp_path / name, data, **changes)
        for name, changes in {"without": {}, "with": {"interactions": {"kinds": {"purchase": {"weight": 1}}}}}.items()
    ]
    without, weighted = map(made_folders, runs)
    assert without.keys() == weighted.keys()
    for cut, folder in without.items():
        assert folder.name != weighted[cut].name
        for file in [*folder.glob("*.npz"), *folder.glob(CANDIDATES)]:
            assert file.read_bytes() == (weighted[cut] / file.name).read_bytes(), (cut, file.name)
