"""One rule for what users have seen (`candidates.seen`): its file, its engine object, and its node of a version.

A pair is seen as of a cut when an interaction of any kind happened and was known by then, however long ago. Training,
evaluation and serving apply the rule by the same code, `engine.seen`, from the same file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.examples import queries
from tasks.examples.retrieval_models import encode
from tasks.features.warehouse import Tables
from tasks.spec.spec import Spec

if TYPE_CHECKING:
    from datetime import date

    from engine.items import Items
    from engine.rerank_schema import RerankNode
    from engine.seen import SeenRule

SEEN_FILE = "seen.npz"
"""What every user has seen as of a cut, in its folder; only there with a rule."""


def write_seen(tables: Tables, spec: Spec, cut: date, folder: Path) -> None:
    """Write what every user has seen as of a cut as a `History` whose scores say no more than that."""
    import numpy as np

    from engine.arrays import offsets_of
    from engine.npz import save_arrays

    if spec.candidates.seen == "keep":
        return
    pairs = tables.arrow(queries.seen_pairs(cut))
    users, user = encode(pairs["user_id"])
    items, item = encode(pairs["item_id"])
    order = np.lexsort((item, user))
    save_arrays(
        folder / SEEN_FILE,
        user_ids=users,
        item_ids=items,
        offsets=offsets_of(np.bincount(user, minlength=len(users))),
        items=item[order].astype(np.int32),
        scores=np.ones(len(item), dtype=np.float32),
    )


def load_rule(spec: Spec, folder: Path, items: Items) -> SeenRule | None:
    """Load the rule from a cut's folder, as the engine serves it; None if seen items are kept."""
    from engine.retrieval import History
    from engine.seen import RULES

    rule = RULES.get(spec.candidates.seen)
    return None if rule is None else rule(History.load(folder / SEEN_FILE, items))


def rule_nodes(spec: Spec, artifact: str) -> tuple[RerankNode, ...]:
    """Make the nodes of a version that apply the rule: one, or none if seen items are kept."""
    from engine.rerank_schema import ExcludeSeenNode, OnlySeenNode

    match spec.candidates.seen:
        case "exclude":
            return (ExcludeSeenNode(artifact=artifact),)
        case "only":
            return (OnlySeenNode(artifact=artifact),)
        case "keep":
            return ()
