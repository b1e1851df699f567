"""The examples of the test window as groups to rank: every contender and every single feature is measured on these.

For impressions a list is what was shown; for snapshots it is what was retrieved, and relevant items that were not
retrieved count as misses. Equal scores are put in the order of item ids, never in the order in which they were shown,
which would lend a contender the logging policy's knowledge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.examples.arrays import group_offsets, relevant_of
from tasks.spec.parts import LOGGED_ORDER
from tasks.spec.retrieval import HistoryRetrieval
from tasks.spec.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from engine.lists import Lists
    from tasks.runs.run import Run


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Examples in groups. Groups of which nothing was retrieved come last, with no rows."""

    table: pa.Table
    group_rows: pa.Table
    """One row per group, with `group_id`, `user_id`, `cut` and the attributes."""
    offsets: npt.NDArray[np.int64]
    """Group `g` owns the rows `offsets[g]:offsets[g + 1]` of `table`."""
    grades: npt.NDArray[np.uint8]
    relevant: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None
    """For snapshots: all relevant grades of each group, and the offsets of the groups in them."""

    @classmethod
    def of(cls, spec: Spec, table: pa.Table, truth: pa.Table | None) -> HeldOut:
        """Find the groups of examples; `truth` holds every relevant item of snapshots, retrieved or not."""
        import numpy as np

        group_rows = _group_rows(spec, table, truth)
        offsets = group_offsets(table)
        # Groups of which nothing was retrieved start and end where the table ends.
        offsets = np.pad(offsets, (0, group_rows.num_rows + 1 - len(offsets)), mode="edge")
        relevant = None if truth is None else relevant_of(group_rows["group_id"].to_pylist(), truth)
        return cls(table, group_rows, offsets, table["grade"].to_numpy().astype(np.uint8), relevant)

    def lists(self, scores: npt.NDArray[Any], listed: npt.NDArray[np.bool_] | None = None) -> Lists:
        """Rank by scores (one per row); `listed` marks the rows that a contender's lists of snapshots contain."""
        import numpy as np

        from engine.lists import Lists

        if listed is None or not self._may_be_shorter:
            return Lists.of(scores, self.grades, self.offsets, relevant=self.relevant)
        kept = np.concatenate([[0], np.cumsum(listed)])[self.offsets]
        return Lists.of(scores[listed], self.grades[listed], kept, relevant=self.relevant)

    @property
    def _may_be_shorter(self) -> bool:
        # What was shown is the list of an impression, whichever items a contender would have listed.
        return self.relevant is not None

    def places(self, scores: npt.NDArray[Any], listed: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.float64]:
        """Each row's place in its group's list, from 0, as `lists` ranks it; infinite where it is not listed."""
        import numpy as np

        from engine.candidates import Candidates, ranks_of

        shown = np.ones(len(scores), dtype=bool) if listed is None or not self._may_be_shorter else listed
        # Rows of a group are in the order of item ids, so that their numbers put equal scores in that order.
        rows = Candidates(self.offsets, np.arange(len(scores), dtype=np.int32))
        return np.where(shown, ranks_of(rows, np.where(shown, scores, np.nan)), np.inf)

    def auc(self, scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Measure, for each group, how often a relevant item scores higher than another one; ties count one half.

        NaN without both. (Hanley and McNeil 1982; within groups, since users are never ranked against each other.)
        """
        import numpy as np

        from engine.list_kernels import concordant
        from engine.lists import Lists

        # Between two grades the share of concordant pairs is the AUC.
        lists = Lists.of(scores, np.minimum(self.grades, 1), self.offsets)
        return concordant(lists.scores, lists.grades, lists.offsets, lists.listed)


def truth_of(run: Run) -> pa.Table | None:
    """Read every relevant item of the test cuts, retrieved or not; impressions need none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if run.spec.examples.kind != "snapshots":
        return None
    truth = pq.read_table(run.file("sample", "truth.parquet"))
    cuts = pa.array(sorted(set(run.windows.test)), pa.date32())  # the file has those to validate on, too
    return truth.filter(pa.compute.is_in(truth["cut"], cuts))


def baseline_rows(spec: Spec, table: pa.Table, baseline: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Score every row by a baseline, and mark the rows that are in its list.

    `logged_order` is the order in which items were shown. Others are names of retrievals; one of the type `history`
    lists the user's own items only.
    """
    import numpy as np

    if baseline == LOGGED_ORDER:
        return -table["position"].to_numpy().astype(np.float64), np.ones(table.num_rows, dtype=bool)
    scores = table[f"{baseline}_score"].to_numpy().astype(np.float64)
    # Examples have 0 where a retrieval has no score.
    own_items_only = any(isinstance(part, HistoryRetrieval) and part.identity == baseline for part in spec.retrieval)
    return scores, scores > 0 if own_items_only else np.ones(table.num_rows, dtype=bool)


def _group_rows(spec: Spec, table: pa.Table, truth: pa.Table | None) -> pa.Table:
    """Collect one row per group: the groups of the examples, then those of which nothing relevant was retrieved."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from tasks.examples.queries import attribute_columns

    names = ["group_id", "user_id", "cut", *attribute_columns(spec)]
    first = table.take(group_offsets(table)[:-1]).select(names)
    if truth is None:
        return first
    lost = truth.filter(pc.invert(pc.is_in(truth["group_id"], first["group_id"])))
    return pa.concat_tables([first, lost.take(group_offsets(lost)[:-1]).select(names)], promote_options="permissive")
