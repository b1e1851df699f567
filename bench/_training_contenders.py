"""The contenders of `bench.training`, each in a process of its own: ours, and the library called by hand.

`python -m bench._training_contenders <learner> <ours|raw> <folder>` prints a JSON object: the CPU seconds (user +
system) of one fit, from files to a model in memory, after a tiny one that imports and compiles what there is to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, ItemItemRecommender, TFIDFRecommender
from threadpoolctl import threadpool_limits

from bench._child import cpu_so_far
from tasks.examples.item_item import fit_ease
from tasks.examples.learners.neighbors import fit_neighbors
from tasks.examples.learners.sampled_factors import fit_bpr, fit_logistic
from tasks.examples.retrieval_models import Actions, Past, fit_als
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tasks.spec.rankers import LightGBM
from tasks.spec.retrieval import (
    AlsRetrieval,
    BprRetrieval,
    ItemItemRetrieval,
    LogisticRetrieval,
    NeighborsRetrieval,
)
from tasks.spec.spec import Spec
from tasks.store.settings import threads
from tasks.training.learners.labels import label_gain
from tasks.training.learners.lightgbm import parameters
from tasks.training.rankers import train_ranker
from tasks.training.train import read_examples

FEATURES = 30
ROUNDS = 20
FACTORS = 64
ALPHA = 4.0
NEIGHBORS = 100


def spec() -> Spec:
    """A pipeline with as many features as the examples of the bench have; only their names matter."""
    whole = load_spec(pipeline_path("streaming"))
    return whole.model_copy(update={"features": whole.features[:FEATURES]})


SETTINGS = LightGBM(type="lightgbm", rounds=ROUNDS)
ALS = AlsRetrieval(type="als", factors=FACTORS, alpha=ALPHA, k=100)
EASE = ItemItemRetrieval(type="item_item", k=100)
BPR = BprRetrieval(type="bpr", factors=FACTORS, iterations=10, k=100)
LOGISTIC = LogisticRetrieval(type="logistic_mf", iterations=5, k=100)


def lambdarank_ours(folder: Path) -> None:
    """What the step `train` does for a model."""
    declared = spec()
    train_ranker(read_examples([folder / "examples.parquet"], declared, "*", []), declared, SETTINGS)


def lambdarank_raw(folder: Path) -> None:
    """LightGBM on the Arrow table of the features, with the same parameters."""
    declared = spec()
    table = pq.read_table(folder / "examples.parquet")
    grade = table["grade"].to_numpy()
    settings = parameters(SETTINGS, label_gain(declared, int(grade.max())))
    _, sizes = np.unique(table["group_id"].to_numpy(), return_counts=True)
    features = table.select(list(declared.features)).combine_chunks()
    weight = table["weight"].to_numpy()
    lightgbm.train(settings, lightgbm.Dataset(features, grade, weight=weight, group=sizes, params=settings), ROUNDS)


def actions(folder: Path) -> Actions:
    """The interactions of the bench."""
    counts = sp.load_npz(folder / "interactions.npz")
    users, items = (np.char.zfill(np.arange(length).astype(str), 8) for length in counts.shape)
    return Actions(users, items, counts)


def ease_ours(folder: Path) -> None:
    """The step `retrieve`'s fit."""
    fit_ease(actions(folder), EASE)


def ease_raw(folder: Path) -> npt.NDArray[np.float64]:
    """Steck's listing with numpy and its BLAS: Gram matrix, inverse, division by the diagonal."""
    seen = sp.load_npz(folder / "interactions.npz").astype(np.float64)
    seen.data = np.sqrt(seen.data)
    with threadpool_limits(threads(), "blas"):
        gram = (seen.T @ seen).toarray()
        gram[np.diag_indices_from(gram)] += EASE.regularization
        inverse = np.linalg.inv(gram)
    weights: npt.NDArray[np.float64] = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def als_ours(folder: Path) -> None:
    """The step `retrieve`'s fit: the solver whose bytes no processor changes."""
    fit_als(actions(folder), ALS)


def als_through_ours(folder: Path) -> None:
    """The step `retrieve`'s fit with `solver: implicit`."""
    fit_als(actions(folder), ALS.model_copy(update={"solver": "implicit"}))


def als_raw(folder: Path) -> None:
    """`implicit` by hand."""
    weights = ALPHA * sp.load_npz(folder / "interactions.npz")
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(FACTORS, ALS.regularization, 1.0, iterations=ALS.iterations, random_state=0)
        model.num_threads = threads()
        model.fit(weights.tocsr(), show_progress=False)


def past(folder: Path) -> Past:
    """The interactions of the bench, as the step `retrieve` has them: rows by user and item."""
    known = actions(folder)
    pairs = known.counts.tocoo()
    ages = np.zeros(pairs.nnz, dtype=np.int64)
    user, item = pairs.row.astype(np.int64), pairs.col.astype(np.int64)
    return Past(known.users, known.items, user, item, ages, pairs.data.astype(np.float64))


def bpr_ours(folder: Path) -> None:
    """The step `retrieve`'s fit."""
    fit_bpr(past(folder), BPR)


def bpr_raw(folder: Path) -> None:
    """`implicit` by hand, with one thread: more of them give other factors each time."""
    settings = BPR.model_dump(include={"factors", "learning_rate", "regularization", "iterations"})
    with threadpool_limits(1, "blas"):
        model = BayesianPersonalizedRanking(**settings, num_threads=1, random_state=BPR.seed)
        model.fit(sp.load_npz(folder / "interactions.npz"), show_progress=False)


def logistic_ours(folder: Path) -> None:
    """The step `retrieve`'s fit."""
    fit_logistic(past(folder), LOGISTIC)


def logistic_raw(folder: Path) -> None:
    """`implicit` by hand, with one thread."""
    settings = LOGISTIC.model_dump(include={"factors", "learning_rate", "regularization", "iterations"})
    with threadpool_limits(1, "blas"):
        model = LogisticMatrixFactorization(
            **settings, neg_prop=LOGISTIC.negatives, num_threads=1, random_state=LOGISTIC.seed
        )
        model.fit(sp.load_npz(folder / "interactions.npz"), show_progress=False)


def neighbors_ours(similarity: str) -> Callable[[Path], None]:
    """The step `retrieve`'s fit."""
    part = NeighborsRetrieval.model_validate(
        {"type": "neighbors", "similarity": similarity, "neighbors": NEIGHBORS, "k": 100}
    )

    def fit(folder: Path) -> None:
        fit_neighbors(past(folder), part)

    return fit


def neighbors_raw(recommender: Callable[..., ItemItemRecommender]) -> Callable[[Path], None]:
    """`implicit` by hand; among the neighbors it keeps of an item is that item."""

    def fit(folder: Path) -> None:
        model = recommender(K=NEIGHBORS + 1, num_threads=threads())
        model.fit(sp.load_npz(folder / "interactions.npz"), show_progress=False)

    return fit


CONTENDERS: dict[str, dict[str, Callable[[Path], object]]] = {
    "lambdarank": {"ours": lambdarank_ours, "raw": lambdarank_raw},
    "ease": {"ours": ease_ours, "raw": ease_raw},
    "als": {"ours": als_ours, "raw": als_raw},
    "als_implicit": {"ours": als_through_ours, "raw": als_raw},
    "bpr": {"ours": bpr_ours, "raw": bpr_raw},
    "logistic_mf": {"ours": logistic_ours, "raw": logistic_raw},
    "cosine": {"ours": neighbors_ours("cosine"), "raw": neighbors_raw(CosineRecommender)},
    "tfidf": {"ours": neighbors_ours("tfidf"), "raw": neighbors_raw(TFIDFRecommender)},
    "bm25": {"ours": neighbors_ours("bm25"), "raw": neighbors_raw(BM25Recommender)},
}


def main() -> None:
    learner, whose, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    fit = CONTENDERS[learner][whose]
    fit(folder / "tiny")
    before = cpu_so_far()
    fit(folder)
    print(json.dumps({"cpu": cpu_so_far() - before}))


if __name__ == "__main__":
    main()
