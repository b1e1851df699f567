"""Which allocation teaches most at equal size? `python -m bench.allocations --home … --as-of …`.

Takes the training examples of a run that has drawn them all, draws from them by each allocation and several seeds, and
trains the pipeline's ranker with the weights of each draw. Measured are the run's test lists: all of them, and the mean
over strata. Differences to the proportional sample are paired by list, their intervals over users.
"""

from __future__ import annotations

import argparse
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

from bench._results import show, table
from engine.intervals import paired_interval, user_blocks
from engine.lists import Lists
from engine.metrics import parse_metric
from tasks.examples.arrays import group_offsets, matrix
from tasks.examples.sampling.draw import draw
from tasks.examples.sampling.order import group_hash_sql
from tasks.features.duckdb_warehouse import DuckDBTables
from tasks.runs.run import Run
from tasks.spec.sample import Allocation, Sample
from tasks.spec.spec import Spec
from tasks.store.files import Home
from tasks.store.sql import identifier
from tasks.training.rankers import train_ranker

Floats = npt.NDArray[np.float64]
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)
BASE = "proportional"
PILOT, FLOOR, SEED = 50, 20, 0


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


def compare(run: Run, groups: int, seeds: int) -> str:
    """Draw, train and measure; lay out the table.

    Raises:
        SystemExit: the run's training examples are a sample already.
    """
    spec = run.spec
    train, test = (pq.read_table(run.file("sample", f"{name}.parquet")) for name in ("train", "test"))
    if set(train["weight"].to_pylist()) != {1.0}:
        raise SystemExit(
            "the run's training groups are a sample already; give a run with `sample.groups` above them all"
        )
    by_rule: dict[str, Floats] = {}
    with relations(spec, train) as connection:
        for rule in ALLOCATIONS:
            asked = Sample(
                strata=spec.sample.strata,
                groups=groups,
                allocation=rule,
                pilot=PILOT if rule == "neyman" else None,
                floor=FLOOR,
            )
            samples = [asked.model_copy(update={"seed": seed}) for seed in range(seeds)]
            by_rule[rule] = np.array(
                [measured(spec, drawn(connection, spec, train, one), test, one.seed) for one in samples]
            )
    whole = len(set(zip(train["group_id"].to_pylist(), train["cut"].to_pylist(), strict=True)))
    by_rule[f"all {whole:,} groups"] = measured(spec, train, test, SEED)[None]
    return _table(spec, test, by_rule)


def _table(spec: Spec, test: pa.Table, by_rule: dict[str, Floats]) -> str:
    blocks = user_blocks(test.take(group_offsets(test)[:-1])["user_id"].to_pylist(), SEED)
    base, rows = by_rule[BASE].mean(axis=0), []
    for rule, values in by_rule.items():
        means = np.nanmean(values, axis=1)
        spread = f" ± {means.std(ddof=1):.4f}" if len(means) > 1 else ""
        lead = paired_interval(values.mean(axis=0), base, blocks, SEED)
        strata = np.mean([over_strata(spec, test, own) for own in values])
        difference = "" if rule == BASE else f"{lead.value:+.4f} [{lead.low:+.4f}, {lead.high:+.4f}]"
        rows.append((rule, f"{means.mean():.4f}{spread}", difference, f"{strata:.4f}"))
    metric = spec.gates[0].metric
    return table(("allocation", f"{metric}, mean ± sd of seeds", f"to {BASE}", "mean over strata"), rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default="streaming")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--home", type=Path, required=True, help="state folder with the run")
    parser.add_argument("--attempt", default="cli")
    parser.add_argument("--groups", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    run = Run.create(given.pipeline, given.as_of, given.attempt, home=Home(given.home))
    text = compare(run, given.groups, given.seeds)
    strata = ", ".join(run.spec.sample.strata)
    head = (
        f"# Allocations at equal size\n\n{run.spec.name} as of {given.as_of}: {given.groups:,} training groups over "
        f"{strata}, at least {FLOOR} of each stratum, {given.seeds} seeds; the weights of the draw are trained with; a "
        f"pilot of {PILOT} for Neyman. Made by `python -m bench.allocations`.\n\n"
    )
    show("allocations", head + text, write=given.write)


if __name__ == "__main__":
    main()
