"""EASE, in rows as its node reads them."""

from __future__ import annotations

from tasks.examples.item_item import fit_ease, in_rows, strength
from tasks.examples.learners.item_matrix import ItemMatrix, of_actions
from tasks.examples.learners.protocol import RetrievalModel
from tasks.examples.retrieval_models import Past
from tasks.spec.retrieval import ItemItemRetrieval


def _fit(past: Past, part: ItemItemRetrieval) -> ItemMatrix:
    known = past.matrix(part.half_life)
    return ItemMatrix(known.items, in_rows(fit_ease(known, part)))


EASE = RetrievalModel(ItemItemRetrieval, "ItemItem", of_actions(strength), _fit)
