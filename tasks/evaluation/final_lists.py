"""The lists as they are served: ordered by the model's scores, then re-ranked by the rules of the pipeline file.

Whatever is said of a model's lists is said of these. They are made by the engine's own code, from what was known of the
items as of each list's cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.examples.arrays import group_offsets, texts
from tasks.examples.candidates import made_folders
from tasks.examples.rerank import load_discounts, load_diversity, load_exploration
from tasks.spec.feedback.exploration import Rule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from engine.diversity import Diversity
    from tasks.runs.run import Run

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """A model's scores of examples.

    Attributes:
        scores: as its trees give them.
        final: those that put the examples in the order of its final lists.
    """

    scores: Floats
    final: Floats


@dataclass(frozen=True, eq=False)
class _Lists:
    """The lists of one cut, and the rules as of it.

    Attributes:
        rows: of the examples, list by list.
        offsets: of the lists in them.
        of_row: the list of each.
        items: the number of each row's item.
        diversity: the rules; None if they change nothing.
    """

    rows: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    of_row: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    diversity: Diversity | None


@dataclass(frozen=True, eq=False)
class FinalLists:
    """Examples as lists that models order; what rules read of a cut is loaded once, whoever's lists they re-rank.

    Attributes:
        run: the run, whose folders of cuts say what items are.
        table: the examples, the rows of a list together.
    """

    run: Run
    table: pa.Table
    _loaded: dict[tuple[Rule, ...], list[_Lists]] = field(default_factory=dict)

    def rank(self, scores: Floats, rules: Sequence[Rule]) -> Ranked:
        """Order the examples by a model.

        Args:
            scores: of the model, one for each example.
            rules: how its lists are re-ranked.

        Returns:
            The scores with the final ones: minus each example's place in its list; without rules the same.

        Raises:
            MatineeError: a file of a cut is gone, or not what was written.
        """
        import numpy as np

        if not rules:
            return Ranked(scores, scores)
        given = scores
        places, exploration, scores = np.empty(len(scores)), load_exploration(rules), self._discounted(scores, rules)
        for cut in self._of_cuts(tuple(rules)):
            # Equal scores by item, as the engine has them.
            order = np.lexsort((cut.items, -scores[cut.rows], cut.of_row))
            rows, items = cut.rows[order], cut.items[order]
            if cut.diversity is not None:
                rows = rows[cut.diversity.order(scores[rows], cut.offsets, items, len(rows))]
            if exploration is not None:
                hashes, keys = self._hashes(rows), self._keys(cut, exploration.seed)
                rows = rows[exploration.order(scores[rows], cut.offsets, hashes, keys)[0]]
            places[rows] = np.arange(len(rows)) - cut.offsets[:-1][cut.of_row]
        return Ranked(given, -places)

    def _discounted(self, scores: Floats, rules: Sequence[Rule]) -> Floats:
        from engine.discount import discounted

        own = load_discounts(rules)
        columns = [self.table[rule.feature].to_numpy().astype("float32") for rule in own]
        return discounted(own, scores, group_offsets(self.table), columns)

    def _hashes(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        from engine.exploration import hashes_of

        return hashes_of(self.table["item_id"].take(rows).to_pylist())

    def _keys(self, lists: _Lists, seed: int) -> npt.NDArray[np.uint64]:
        """Of each list as of a request with the id of the group, to the version as of the cut."""
        import numpy as np

        from engine.exploration import request_key

        first = self.table.take(lists.rows[lists.offsets[:-1]]).select(["cut", "user_id", "group_id"]).to_pylist()
        keys = [request_key(seed, str(row["cut"]), row["user_id"], row["group_id"]) for row in first]
        return np.array(keys, dtype=np.uint64)

    def _of_cuts(self, rules: tuple[Rule, ...]) -> list[_Lists]:
        if rules not in self._loaded:
            self._loaded[rules] = list(self._load(rules))
        return self._loaded[rules]

    def _load(self, rules: tuple[Rule, ...]) -> Iterator[_Lists]:
        import numpy as np

        from engine.arrays import group_of_row, offsets_of

        offsets, folders = group_offsets(self.table), made_folders(self.run)
        group = group_of_row(offsets)
        cuts = np.asarray(self.table["cut"].take(offsets[:-1]).to_pylist())
        for cut in sorted(set(cuts.tolist())):
            ids, diversity = load_diversity(rules, folders[cut])
            lists = np.flatnonzero(cuts == cut)
            rows, own = np.flatnonzero(np.isin(group, lists)), offsets_of(np.diff(offsets)[lists])
            yield _Lists(rows, own, group_of_row(own), ids.numbers(texts(self.table["item_id"].take(rows))), diversity)
