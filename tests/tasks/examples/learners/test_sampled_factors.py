"""Factors by gradient steps: those of the library, of the refit day, for the processor that they were made on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from implicit.cpu.bpr import BayesianPersonalizedRanking

from tasks.errors import TrainingError
from tasks.examples.learners.sampled_factors import BPR, fit_bpr, fit_logistic
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import blas_kernels
from tasks.spec.retrieval import BprRetrieval, LogisticRetrieval
from tests.tasks.examples.planted import planted

PART = BprRetrieval(type="bpr", factors=4, iterations=10, k=1)
LOGISTIC = LogisticRetrieval(type="logistic_mf", factors=4, k=1)


def until(past: Past, age: int) -> Past:
    """What was known that many days earlier."""
    keep = past.age >= age
    kept = {name: getattr(past, name)[keep] for name in ("user", "item", "age", "actions")}
    return replace(past, **{**kept, "age": kept["age"] - age})


def test_scores_are_those_of_the_library() -> None:
    past = planted().past
    model = BayesianPersonalizedRanking(4, 0.05, 0.01, iterations=10, num_threads=1, random_state=0)
    model.fit(past.matrix(None).counts, show_progress=False)
    fitted = fit_bpr(past, PART)
    expected = model.user_factors @ model.item_factors.T
    np.testing.assert_allclose(fitted.user_factors @ fitted.item_factors.T, expected, rtol=1e-5)


def test_users_have_the_factors_of_the_refit_day() -> None:
    now = planted()
    early = fit_bpr(until(now.past, 10), PART)
    arrays = BPR.arrays(PART, now, early)
    assert arrays["user_factors"].tobytes() == early.user_factors.tobytes()
    assert arrays["user_ids"].tolist() == early.users.tolist()


def test_the_seed_decides() -> None:
    past = planted().past
    for fit, part in ((fit_bpr, PART), (fit_logistic, LOGISTIC)):
        factors = [fit(past, part.model_copy(update={"seed": seed})).item_factors.tobytes() for seed in (0, 0, 1)]
        assert factors[0] == factors[1] != factors[2]


@pytest.mark.parametrize("part", [PART, LOGISTIC], ids=["bpr", "logistic_mf"])
def test_bytes_are_those_of_a_processor(part: BprRetrieval | LogisticRetrieval) -> None:
    assert blas_kernels([part])


def test_without_an_action_there_is_nothing_to_learn() -> None:
    with pytest.raises(TrainingError, match="bpr: no action of any user on any item is known yet"):
        fit_bpr(until(planted().past, 100), PART)
