"""The noise of training: the same settings trained again, with other seeds and on other draws of the users.

By how much the results differ is what a difference between two models may be worth nothing for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.runs.narration import counted
from tasks.spec.rankers import Ranker
from tasks.training.learners.protocol import TrainedRanker
from tasks.training.rankers import train_ranker
from tasks.training.reseeded import reseeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from tasks.spec.spec import Spec


def trained_again(examples: pa.Table, spec: Spec, settings: Ranker, trainings: int) -> Iterator[TrainedRanker]:
    """Train settings so many times, each time with the next seed and on the next draw.

    Args:
        examples: what the settings are trained on, rows of a group together.
        spec: the pipeline.
        settings: of the ranker; one without a seed differs by the draw alone.
        trainings: how many.

    Raises:
        TrainingError: nothing can be learned from a draw.
    """
    for number in counted(range(1, trainings + 1), "trainings"):
        yield train_again(examples, spec, settings, number)


def train_again(examples: pa.Table, spec: Spec, settings: Ranker, number: int) -> TrainedRanker:
    """Train settings for the `number`-th time: with the seed and on the draw of that number; 0 changes neither."""
    return train_ranker(drawn_again(examples, number) if number else examples, spec, reseeded(settings, number))


def drawn_again(examples: pa.Table, seed: int) -> pa.Table:
    """Draw the users of examples again, with replacement: each counts a Poisson(1) number of times.

    By users, as the intervals are, because the lists of a user are alike; by weights, so that a list stays one list.
    Whoever is drawn no time is left out.
    """
    import numpy as np
    import pyarrow as pa

    users = examples["user_id"].combine_chunks().dictionary_encode()
    # The second number makes it another stream than those of other draws with the same seed.
    times = np.random.default_rng([seed, 0xD2A3]).poisson(1.0, len(users.dictionary))
    counts = times[users.indices.to_numpy(zero_copy_only=False)]
    weights = pa.array(examples["weight"].to_numpy() * counts)
    column = examples.column_names.index("weight")
    return examples.set_column(column, "weight", weights).filter(pa.array(counts > 0))


def spread(values: Sequence[float]) -> float:
    """Estimate the standard deviation of one training from those of several; 0 with fewer than two."""
    import numpy as np

    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def noise_trainings(spec: Spec) -> int:
    """How often the evaluated settings are trained again in each run; 0 where noise is not measured."""
    return 0 if spec.evaluate.noise is None else spec.evaluate.noise.seeds


def noise_name(number: int) -> str:
    """Name the model that was trained again, beside the evaluated and the published one."""
    return f"noise-{number}"
