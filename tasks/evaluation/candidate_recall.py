"""How much of what users consumed each retriever would have retrieved for them, and all retrievers together.

The retrievers of each test cut, from the files that a version of that day would have published, list their candidates
for the users of the held-out groups. Relevant are the same items as in the evaluation: of impressions those that were
shown and consumed, of snapshots all. What no retriever finds, no ranker can put on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from engine.evaluation import EvaluationRecord
from tasks.evaluation.held_out import HeldOut
from tasks.examples.graded import Wanted, graded
from tasks.store.files import checked_file, json_number
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from engine.candidates import Candidates
    from engine.intervals import Interval
    from engine.items import Items
    from engine.retrieval import Retriever
    from engine.seen import SeenRule
    from tasks.runs.run import Run
    from tasks.spec.spec import Spec

    Floats = npt.NDArray[np.float64]

UNION = "union"
"""What all retrievers find together, in place of the name of one."""
INTERVAL_SEED = 0
DIGITS = 12
"""Decimals on disk: the last bits of a mean depend on the order of the sum."""


class RetrieverRecall(Record):
    """How much a retriever finds with its first k candidates.

    Attributes:
        k: candidates that count.
        candidates: mean number of those that there are, by held-out list.
        recall: mean over the lists, with its interval; `of` is the name of the retrieval, or `union`.
    """

    k: int
    candidates: float
    recall: EvaluationRecord


@dataclass(frozen=True, eq=False)
class Consumed(Wanted):
    """The relevant items of the held-out groups."""

    @property
    def counts(self) -> dict[int, int]:
        """Number of items by group; a group without any is not in it."""
        import numpy as np

        groups, counts = np.unique(self.group, return_counts=True)
        return dict(zip(groups.tolist(), counts.tolist(), strict=True))

    @classmethod
    def of(cls, held_out: HeldOut, truth: pa.Table | None) -> Consumed:
        """Collect them from the examples, or from the truth of snapshots, which also has what was not retrieved."""
        import numpy as np
        import pyarrow.compute as pc

        source = held_out.table if truth is None else truth
        source = source.filter(pc.greater(source["grade"], 0))
        columns = ("group_id", "cut", "item_id", "grade")
        best: dict[tuple[str, date, str], int] = {}
        for group, cut, item, grade in zip(*(source[name].to_pylist() for name in columns), strict=True):
            # A page may show an item twice: it is one item to find.
            best[group, cut, item] = max(grade, best.get((group, cut, item), 0))
        rows = held_out.group_rows
        ids = zip(rows["group_id"].to_pylist(), rows["cut"].to_pylist(), strict=True)
        number = {key: n for n, key in enumerate(ids)}
        found = sorted((number[group, cut], item, grade) for (group, cut, item), grade in best.items())
        return cls(
            np.asarray([group for group, _, _ in found], dtype=np.int64),
            np.asarray([item for _, item, _ in found], dtype=object),
            np.asarray([grade for _, _, grade in found], dtype=np.int64),
        )

    def only(self, groups: npt.NDArray[np.int64]) -> Consumed:
        """Those of some groups, which are numbered in the order given, ascending."""
        import numpy as np

        keep = np.isin(self.group, groups)
        return Consumed(np.searchsorted(groups, self.group[keep]), self.item[keep], self.grade[keep])


def candidate_recall(run: Run, held_out: HeldOut, consumed: Consumed) -> tuple[RetrieverRecall, ...]:
    """Measure the recall of every retriever, in the order of the pipeline file, and of their union.

    Raises:
        MatineeError: a file of the retrieval is gone, or not what was written.
    """
    import numpy as np

    from engine.intervals import interval, user_blocks
    from engine.metrics import parse_metric

    cutoffs = _cutoffs(run)
    rows = held_out.group_rows
    cuts, users = np.asarray(rows["cut"].to_pylist()), np.asarray(rows["user_id"].to_pylist(), dtype=object)
    recalls = {key: np.full(len(users), np.nan) for key in cutoffs}
    sizes = {key: np.zeros(len(users)) for key in cutoffs}
    for cut in sorted(set(cuts.tolist())):
        groups = np.flatnonzero(cuts == cut)
        items, retrievers, seen = _retrievers(run, cut)
        names, owner = np.unique(users[groups].astype(np.str_), return_inverse=True)
        wanted = consumed.only(groups)
        for of, lists in _lists(run.spec, retrievers, names, seen):
            for name, k in (key for key in cutoffs if key[0] == of):
                found = first_of_each(lists, owner, k)
                sizes[name, k][groups] = np.diff(found.offsets)
                recalls[name, k][groups] = parse_metric(f"recall@{k}")(graded(found, items.ids, wanted))
    blocks = user_blocks(users.astype(np.str_), INTERVAL_SEED)
    spans = {key: interval(values, blocks, INTERVAL_SEED) for key, values in recalls.items()}
    return tuple(_figure(of, k, span, float(sizes[of, k].mean())) for (of, k), span in spans.items())


def _figure(of: str, k: int, span: Interval, candidates: float) -> RetrieverRecall:
    from engine.metrics import parse_metric

    recall = EvaluationRecord(
        metric=f"recall@{k}",
        of=of,
        value=json_number(span.value, DIGITS),
        low=json_number(span.low, DIGITS),
        high=json_number(span.high, DIGITS),
        groups=span.groups,
        definition=parse_metric(f"recall@{k}").definition,
    )
    return RetrieverRecall(k=k, candidates=round(candidates, DIGITS), recall=recall)


def _cutoffs(run: Run) -> list[tuple[str, int]]:
    """The (name, k) to measure: each retriever with its own k, and with the least k of all, to compare them by."""
    parts = run.spec.retrieval
    least = min(part.k for part in parts)
    of_each: list[tuple[str, int]] = [(part.identity, k) for part in parts for k in sorted({least, part.k})]
    return [*of_each, (UNION, sum(part.k for part in parts))] if len(parts) > 1 else of_each


def _retrievers(run: Run, cut: date) -> tuple[Items, list[tuple[Retriever, int]], SeenRule | None]:
    from tasks.examples.candidates import made_folders
    from tasks.examples.retrievers import load_retrievers
    from tasks.examples.seen import SEEN_FILE, load_rule

    folder = made_folders(run)[cut]
    rule = () if run.spec.candidates.seen == "keep" else (SEEN_FILE,)
    for name in ("catalogue.parquet", *rule, *(file for part in run.spec.retrieval for file in part.files)):
        checked_file(folder, name)
    items, retrievers = load_retrievers(run.spec, folder)
    return items, retrievers, load_rule(run.spec, folder, items)


def _lists(
    spec: Spec, retrievers: Sequence[tuple[Retriever, int]], users: npt.NDArray[np.str_], seen: SeenRule | None
) -> Iterator[tuple[str, Candidates]]:
    """Yield the candidates of each user by each retriever, then by all of them."""
    from engine.candidates import union

    for part, retriever in zip(spec.retrieval, retrievers, strict=True):
        yield part.identity, union([retriever], users, seen)
    yield UNION, union(retrievers, users, seen)


def first_of_each(lists: Candidates, owner: npt.NDArray[Any], k: int) -> Candidates:
    """The first k candidates of each group, given the user (place in `lists`) whose group it is."""
    import numpy as np

    from engine.arrays import offsets_of
    from engine.candidates import Candidates

    lengths = np.minimum(np.diff(lists.offsets)[owner], k)
    offsets = offsets_of(lengths)
    rows = np.repeat(lists.offsets[:-1][owner] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return Candidates(offsets, lists.items[rows])
