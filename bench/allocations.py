"""Which allocation teaches most at equal size, and what would all groups teach? `python -m bench.allocations`.

Runs a copy of each pipeline that draws every group, up to its sample (or takes the run that is in `--home`). From its
training examples a share is drawn by each allocation with several seeds, and the pipeline's ranker is trained with the
weights of each draw and its seed. Measured are the run's test lists: all of them, and the mean over strata. Differences
are paired by list and seed, their intervals over users and seeds.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, get_args

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bench._results import home_of, show, table
from engine.intervals import replicate_means, user_blocks
from engine.lists import Lists
from engine.metrics import parse_metric
from tasks.examples.arrays import group_offsets, matrix
from tasks.examples.sampling.draw import draw
from tasks.examples.sampling.order import group_hash_sql
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.runs.failures import call_step
from tasks.runs.run import Run
from tasks.runs.steps import sequence
from tasks.spec.project import TOOL, pipeline_path
from tasks.spec.sample import Allocation, Sample
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.store.sql import identifier
from tasks.training.rankers import train_ranker

Floats = npt.NDArray[np.float64]
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)
BASE, WHOLE = "proportional", "all groups"
PILOT, FLOOR, SEED = 50, 20, 0
DAYS = {"streaming": date(2026, 2, 27), "online_retail": date(2011, 10, 31)}
"""As of which day a pipeline is run."""
STEPS = ("land", "build", "retrieve", "sample")
EVERY = 10**9
"""More groups than there are."""


def with_every_group(pipeline: str, as_of: date, home: Path, data: Path) -> Run:
    """Return a run, up to its sample, of a copy of the pipeline that draws every group and publishes nothing."""
    document = yaml.safe_load(pipeline_path(pipeline).read_text(encoding="utf-8"))
    document["sample"]["groups"] = EVERY
    document["publish"] = {**document.get("publish", {}), "refit": False}
    name = document["name"]
    file = home / f"{name}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    of_files = document["source"]["type"] == "files"
    run = Run.create(str(file), as_of, "bench", home=Home(home), data=data / name if of_files else None)
    if not (run.step_dir("sample") / "result.json").exists():
        for step, function in sequence().items():
            if step in STEPS:
                call_step(run, step, function)
    return run


@contextmanager
def relations(spec: Spec, train: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the relations that a draw reads, made of training examples."""
    strata = "".join(f", any_value({identifier(name)}) as {identifier(name)}" for name in spec.sample.strata)
    by_impression = "" if spec.label.attribution_minutes is None else ", example_id as impression_id"
    with duckdb.connect() as connection:
        connection.register("train", train)
        connection.execute(
            f"""
            create table groups as
            select group_id, cut, {group_hash_sql("train")} as group_hash, max(grade) as best{strata}
            from train group by all;
            create table candidates as select example_id, group_id, user_id, item_id, cut from train;
            create table labels as select distinct user_id, item_id, cut, grade{by_impression} from train;
            create table feat_items as select item_id, cut as as_of, max(item_actions_28d) as item_actions_28d
            from train group by all;
            """
        )
        yield connection


def drawn(connection: duckdb.DuckDBPyConnection, spec: Spec, train: pa.Table, sample: Sample) -> pa.Table:
    """The training examples of a draw, with its weights, in the order in which they were."""
    cuts = sorted(set(train["cut"].to_pylist()))
    draw(DuckDBTables(connection), spec.model_copy(update={"sample": sample}), "fit", cuts)
    weights = {(group, cut): weight for group, cut, weight in connection.execute("select * from fit").fetchall()}
    keys = zip(train["group_id"].to_pylist(), train["cut"].to_pylist(), strict=True)
    own = np.asarray([weights.get(key, 0.0) for key in keys])
    return train.set_column(train.schema.get_field_index("weight"), "weight", pa.array(own)).filter(pa.array(own > 0))


def measured(spec: Spec, train: pa.Table, test: pa.Table, seed: int) -> Floats:
    """The first gate's metric of a model on every test list."""
    settings = spec.ranker.model_copy(update={"seed": seed})
    scores = train_ranker(train, spec, settings).scorer().predict(matrix(test, spec.features))
    return parse_metric(spec.gates[0].metric)(Lists.of(scores, test["grade"].to_numpy(), group_offsets(test)))


def over_strata(spec: Spec, test: pa.Table, values: Floats) -> float:
    """The mean over strata of the means over their lists."""
    heads = test.take(group_offsets(test)[:-1]).select(list(spec.sample.strata)).to_pylist()
    strata: dict[tuple[Any, ...], list[float]] = {}
    for head, value in zip(heads, values, strict=True):
        if not np.isnan(value):
            strata.setdefault(tuple(head.values()), []).append(float(value))
    return float(np.mean([np.mean(own) for own in strata.values()]))


def compare(run: Run, share: float, seeds: int) -> str:
    """Draw, train and measure; lay out the section of a pipeline.

    Raises:
        SystemExit: the run's training examples are a sample already.
    """
    spec = run.spec
    train, test = (pq.read_table(run.file("sample", f"{name}.parquet")) for name in ("train", "test"))
    if set(train["weight"].to_pylist()) != {1.0}:
        raise SystemExit(f"{run.step_dir('sample')}: its training groups are a sample already, expected all of them")
    whole = len(group_offsets(train)) - 1
    groups = math.ceil(share * whole)
    by_rule: dict[str, Floats] = {}
    with relations(spec, train) as connection:
        for rule in ALLOCATIONS:
            pilot = PILOT if rule == "neyman" else None
            asked = Sample(strata=spec.sample.strata, groups=groups, allocation=rule, pilot=pilot, floor=FLOOR)
            samples = [asked.model_copy(update={"seed": seed}) for seed in range(seeds)]
            by_rule[rule] = np.array(
                [measured(spec, drawn(connection, spec, train, one), test, one.seed) for one in samples]
            )
    by_rule[WHOLE] = np.array([measured(spec, train, test, seed) for seed in range(seeds)])
    title = (
        f"## {spec.name} as of {run.as_of}\n\n{groups:,} of {whole:,} training groups over "
        f"{', '.join(spec.sample.strata)}; {len(group_offsets(test)) - 1:,} test lists.\n\n"
    )
    return title + _table(spec, test, by_rule)


def lead(ours: Floats, theirs: Floats, blocks: npt.NDArray[np.int64]) -> str:
    """The mean difference of two contenders, (seeds, lists) each, with its interval over users and seeds."""
    differences = ours - theirs
    seeds = len(differences)
    means = replicate_means(differences, np.ones(differences.shape[1]), blocks, SEED)
    picks = np.random.default_rng([SEED, seeds]).integers(0, seeds, means.shape)
    low, high = np.quantile(np.take_along_axis(means, picks, axis=1).mean(axis=1), [0.025, 0.975])
    return f"{np.nanmean(differences):+.4f} [{low:+.4f}, {high:+.4f}]"


def _table(spec: Spec, test: pa.Table, by_rule: dict[str, Floats]) -> str:
    blocks = user_blocks(test.take(group_offsets(test)[:-1])["user_id"].to_pylist(), SEED)
    rows = []
    for rule, values in by_rule.items():
        means = np.nanmean(values, axis=1)
        strata = np.mean([over_strata(spec, test, own) for own in values])
        leads = ["" if rule == other else lead(values, by_rule[other], blocks) for other in (BASE, WHOLE)]
        rows.append((rule, f"{means.mean():.4f} ± {means.std(ddof=1):.4f}", *leads, f"{strata:.4f}"))
    metric = spec.gates[0].metric
    return table(("allocation", f"{metric}, mean ± sd of seeds", f"to {BASE}", f"to {WHOLE}", "mean over strata"), rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", nargs="+", choices=list(DAYS), default=list(DAYS))
    default = Path(os.environ.get("MATINEE_DATA", TOOL.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder with online_retail/")
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--share", type=float, default=0.25, help="of all training groups")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        runs = [with_every_group(name, DAYS[name], home, given.data) for name in given.pipelines]
        sections = [compare(run, given.share, given.seeds) for run in runs]
    head = (
        f"# Allocations at equal size\n\n{given.share:.0%} of all training groups, at least {FLOOR} of each stratum, "
        f"drawn with {given.seeds} seeds; a pilot of {PILOT} for Neyman. The pipeline's ranker is trained with the "
        "weights of the draw and its seed, and measured on all test lists. Differences are paired by list and seed; "
        "their 95 % intervals are over users and seeds. Made by `python -m bench.allocations`.\n\n"
    )
    show("allocations", head + "\n\n".join(sections), write=given.write)


if __name__ == "__main__":
    main()
