"""LightGBM's own ranking example with simulated position bias, through the learners of pipelines.

As LightGBM tests it: somebody reads the items of a query in the order of a feature, clicks what they see with a
probability that rises with its grade, and stops after each item with the probability 0.2. Relevance is learned from the
clicks, and measured by the grades.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.arrays import offsets_of
from engine.lists import Lists
from engine.metrics import parse_metric
from tasks.examples.arrays import matrix
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tasks.spec.rankers import LightGBM
from tasks.spec.spec import Spec
from tasks.training.rankers import train_ranker

FEATURES = 300
ORDERED_BY = 34
CLICKS = (0.4, 0.6, 0.7, 0.8, 0.9)
"""Probability of a click on what is seen, by grade."""
STOPS = 0.2
METRIC = "ndcg@3"
Floats = npt.NDArray[np.float64]


def read(folder: Path, part: str) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read features (rows, features), grades and the sizes of the lists; absent features are 0."""
    lines = (folder / f"rank.{part}").read_text(encoding="utf-8").splitlines()
    values, grades = np.zeros((len(lines), FEATURES + 1)), np.zeros(len(lines), dtype=np.int64)
    for row, line in enumerate(lines):
        grade, *pairs = line.split()
        grades[row] = int(grade)
        for pair in pairs:
            column, value = pair.split(":")
            values[row, int(column)] = float(value)
    sizes = np.array((folder / f"rank.{part}.query").read_text(encoding="utf-8").split(), dtype=np.int64)
    return values, grades, sizes


def clicked(
    values: Floats, grades: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], rng: random.Random
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw the clicks on every list, and say where each item stood, from 1."""
    clicks, positions = np.zeros(len(grades), dtype=np.int64), np.zeros(len(grades), dtype=np.int64)
    start = 0
    for size in sizes.tolist():
        order = start + np.argsort(-values[start : start + size, ORDERED_BY], kind="stable")
        positions[order] = np.arange(1, size + 1)
        for row in order:
            clicks[row] = rng.random() < CLICKS[grades[row]]
            if rng.random() < STOPS:
                break
        start += size
    return clicks, positions


def examples(values: Floats, clicks: npt.NDArray[np.int64], positions: Any, sizes: Any) -> pa.Table:
    """Lay out examples as the step `sample` does; but lists without a click stay, as in LightGBM's test."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return pa.table(
        {
            "group_id": groups.astype(str),
            "user_id": groups.astype(str),
            "grade": clicks.astype(np.int8),
            "position": np.asarray(positions, dtype=np.int32),
            "weight": np.ones(len(clicks)),
            **{name: values[:, int(name[1:])].astype(np.float32) for name in names()},
        }
    )


def names() -> list[str]:
    """Names of the features."""
    return [f"f{number}" for number in range(1, FEATURES + 1)]


def value(spec: Spec, train: pa.Table, test: tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]) -> float:
    """Train, and measure the ranking of the test lists by their grades."""
    values, grades, sizes = test
    table = examples(values, np.ones(len(grades), dtype=np.int64), np.ones(len(grades)), sizes)
    scores = train_ranker(train, spec, spec.ranker).scorer().predict(matrix(table, names()))
    return float(np.nanmean(parse_metric(METRIC)(Lists.of(scores, grades, offsets_of(sizes)))))


def example_spec(**changes: Any) -> Spec:
    """The bundled pipeline with the example's features and the settings of LightGBM's test, and changes."""
    whole = load_spec(pipeline_path("streaming"))
    typed = Spec.model_validate({**whole.canonical(), **changes})
    settings = LightGBM(
        type="lightgbm",
        rounds=50,
        min_data_in_leaf=50,
        min_sum_hessian=5.0,
        bagging_fraction=0.9,
        lambda_l2=0.0,
    )
    # None of the features is a column of a mart, so none of them is looked up there.
    made = {"features": tuple(names()), "resolved_features": (), "ranker": settings}
    return whole.model_copy(update={**made, "position_bias": typed.position_bias})
