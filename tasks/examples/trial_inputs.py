"""What trials of retrievals read, taken from the tables once: trials beside each other open no warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.examples import queries
from tasks.examples.arrays import texts
from tasks.examples.cut_models import item_table
from tasks.examples.graded import Wanted
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import refit_day
from tasks.examples.seen import load_rule, write_seen
from tasks.features.warehouse import Tables
from tasks.spec.spec import Spec
from tasks.store.atomic import atomic_dir

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from engine.items import Items

CATALOG = "catalogue.parquet"
"""As the engine's loader expects it beside the files of retrievers."""
ITEMS, TRUTH = "items.parquet", "truth.parquet"


@dataclass(frozen=True)
class TrialInputs:
    """The inputs of all trials in a folder: a folder for each cut, and a file of actions for each day they are of."""

    folder: Path

    def write(self, tables: Tables, spec: Spec, cuts: tuple[date, ...]) -> None:
        """Take them from the tables, all of them or none.

        Raises:
            TrainingError: no item is known as of a cut.
        """
        import pyarrow.parquet as pq

        every = {getattr(part, "refit", 1) for part in spec.retrieval}  # the others are made as of the cut itself
        refits = {refit_day(cut, spec.start, days) for days in every for cut in cuts}
        with atomic_dir(self.folder) as target:
            for day in sorted({*cuts, *refits}):
                pq.write_table(tables.arrow(queries.past_actions(spec, day)), target / f"past-{day}.parquet")
            for cut in cuts:
                of_cut = target / str(cut)
                of_cut.mkdir()
                items = item_table(tables, cut)
                pq.write_table(items, of_cut / ITEMS)
                pq.write_table(items.select(["item_id", "title", "category", "available"]), of_cut / CATALOG)
                pq.write_table(tables.arrow(queries.relevant(cut)), of_cut / TRUTH)
                write_seen(tables, spec, cut, of_cut)

    def past(self, day: date) -> Past:
        """The actions known as of a cut or a refit day."""
        import pyarrow.parquet as pq

        return Past.of(pq.read_table(self.folder / f"past-{day}.parquet"))

    def items(self, cut: date) -> pa.Table:
        """The items known as of a cut, with their features."""
        import pyarrow.parquet as pq

        return pq.read_table(self.cut(cut) / ITEMS)

    def cut(self, cut: date) -> Path:
        """The folder of a cut, with the catalog and the rule for seen items as the engine reads them."""
        return self.folder / str(cut)

    def wanted(self, spec: Spec, cut: date, items: Items) -> tuple[npt.NDArray[np.str_], Wanted]:
        """The users with something to find at a cut, in order of id, and what that is.

        What the rule for seen items keeps out of lists is nothing to find.
        """
        import numpy as np
        import pyarrow.parquet as pq

        truth = pq.read_table(self.cut(cut) / TRUTH)
        users, owner = np.unique(texts(truth["user_id"]), return_inverse=True)
        item, grade = texts(truth["item_id"]), truth["grade"].to_numpy().astype(np.int64)
        seen = load_rule(spec, self.cut(cut), items)
        if seen is not None:
            numbers = items.ids.numbers(item)
            keep = numbers >= 0
            keep[keep] = seen.keep(users, owner[keep], numbers[keep])
            item, grade, owner = item[keep], grade[keep], owner[keep]
        return users, Wanted(owner.astype(np.int64), item.astype(object), grade)
