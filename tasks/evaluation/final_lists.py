"""The lists as they are served: ordered by the model's scores, then re-ranked by the rules of the pipeline file.

Whatever is said of a model's lists is said of these. They are made by the engine's own code, from what was known of the
items as of each list's cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.examples.arrays import group_offsets, texts
from tasks.examples.candidates import made_folders
from tasks.examples.rerank import load_diversity
from tasks.spec.parts import Diversify

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tasks.runs.run import Run

    Floats = npt.NDArray[np.float64]


def final_scores(run: Run, table: pa.Table, scores: Floats, rules: Sequence[Diversify]) -> Floats:
    """Give examples scores that put them in the order of the final lists.

    Args:
        run: the run, whose folders of cuts say what items are.
        table: the examples, the rows of a list together.
        scores: of a model, one for each example.
        rules: how its lists are re-ranked.

    Returns:
        Minus each example's place in its list; without rules the scores as they are.

    Raises:
        MatineeError: a file of a cut is gone, or not what was written.
    """
    import numpy as np

    from engine.arrays import group_of_row, offsets_of

    if not rules:
        return scores
    offsets, folders = group_offsets(table), made_folders(run)
    places, group = np.empty(len(scores)), group_of_row(offsets)
    cuts = np.asarray(table["cut"].take(offsets[:-1]).to_pylist())
    for cut in sorted(set(cuts.tolist())):
        ids, diversity = load_diversity(rules, folders[cut])
        lists = np.flatnonzero(cuts == cut)
        rows, own = np.flatnonzero(np.isin(group, lists)), offsets_of(np.diff(offsets)[lists])
        of_row, items = group_of_row(own), ids.numbers(texts(table["item_id"].take(rows)))
        order = np.lexsort((items, -scores[rows], of_row))  # equal scores by item, as the engine has them
        rows, items = rows[order], items[order]
        if diversity is not None:
            rows = rows[diversity.order(scores[rows], own, items, len(rows))]
        places[rows] = np.arange(len(rows)) - own[:-1][of_row]
    return -places
