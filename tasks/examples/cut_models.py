"""Fit the retrieval models of cuts on what was known by then, and write them as the engine reads them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples import queries
from tasks.examples.blend_weights import fit_weights
from tasks.examples.learners.blend import BlendWeights
from tasks.examples.learners.protocol import AsOf
from tasks.examples.rerank import write_kinds
from tasks.examples.retrieval_log import RetrievalTally
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import model_of, refit_day
from tasks.examples.seen import write_seen
from tasks.features.warehouse import Tables
from tasks.spec.retrievals.blend import BlendRetrieval, FittedWeights
from tasks.spec.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Models:
    """Fits and writes the models of cuts; item models are fitted once per refit day."""

    tables: Tables
    spec: Spec
    tally: RetrievalTally
    """Counts the fits, for the log."""

    def __post_init__(self) -> None:
        self._fitted: dict[tuple[str, date], Any] = {}

    def write(self, cut: date, folder: Path) -> None:
        """Write the catalog and one file for each retrieval of the spec."""
        import pyarrow.parquet as pq

        from engine.npz import save_arrays

        now = self.as_of(cut)
        pq.write_table(now.items.select(["item_id", "title", "category", "available"]), folder / "catalogue.parquet")
        for part in self.spec.retrieval:
            arrays = model_of(part).arrays
            if arrays is not None:
                save_arrays(folder / part.files[0], **arrays(part, now, self._fit(part, cut)))
            elif isinstance(part, BlendRetrieval) and part.fit is not None:
                self._weights(part, part.fit, cut).write(folder / part.files[0])
        write_seen(self.tables, self.spec, cut, folder)
        write_kinds(self.tables, self.spec, cut, folder)

    def as_of(self, cut: date) -> AsOf:
        """What the retrieval models of the spec may know as of a cut.

        Raises:
            TrainingError: no item is known.
        """
        unit = self.spec.interactions.unit if self.spec.interactions.kinds else None
        items = item_table(self.tables, cut)
        return AsOf(past_actions(self.tables, self.spec, cut), items, unit, self._segments(cut))

    def _segments(self, cut: date) -> dict[str, pa.Table]:
        """The users by segment, for every attribute that a retrieval asks for."""
        attributes = {attribute.name: attribute for attribute in self.spec.attributes}
        asked = {part.attribute for part in self.spec.retrieval if part.attribute is not None}
        return {name: self.tables.arrow(queries.user_segments(attributes[name], cut)) for name in sorted(asked)}

    def _fit(self, part: Any, cut: date) -> Any:
        """Fit what a retrieval keeps between two refit days, unless another cut has had it fitted."""
        fit = model_of(part).fit
        if fit is None:
            return None
        return self._once(part.identity, refit_day(cut, self.spec.start, part.refit), lambda past, _: fit(past, part))

    def _weights(self, part: BlendRetrieval, fit: FittedWeights, cut: date) -> BlendWeights:
        """Fit the weights of a blend, unless another cut has had it done."""
        day = refit_day(cut, self.spec.start, fit.refit)
        weights: BlendWeights = self._once(
            part.identity, day, lambda past, day: fit_weights(self.spec, part, fit, past, day)
        )
        return weights

    def _once(self, name: str, day: date, fit: Callable[[Past, date], Any]) -> Any:
        key = name, day
        if key not in self._fitted:
            past, began = past_actions(self.tables, self.spec, day), time.monotonic()
            self._fitted[key] = fit(past, day)
            self.tally.fitted(name, day, past, time.monotonic() - began)
        return self._fitted[key]


def item_table(tables: Tables, cut: date) -> pa.Table:
    """The items known as of a cut, by id.

    Raises:
        TrainingError: there is none.
    """
    table = tables.arrow(queries.known_items(cut))
    if not table.num_rows:
        raise TrainingError(f"no item is known as of {cut}: look at the table `items` and at the landed days up to it")
    return table


def past_actions(tables: Tables, spec: Spec, cut: date) -> Past:
    """What retrieval learns from: the actions of the year up to a cut, as known by then, weighted as declared."""
    return Past.of(tables.arrow(queries.past_actions(spec, cut)))
