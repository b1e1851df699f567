"""The rules by which lists are re-ranked (`rerank`): their file, their nodes of a version, and their engine object.

What an item is, such as its genres, is that of the cut, as known then. Evaluation and serving apply the rules by the
same code, `engine.diversity`, from the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.examples.feature_sql import Value
from tasks.features.warehouse import Tables
from tasks.spec.attributes import RELATIONS, Attribute
from tasks.spec.feedback.exploration import Rule, Softmax, discount_rules, diversify_rules, explore_rule
from tasks.spec.parts import CATEGORY
from tasks.spec.spec import Spec
from tasks.store.files import checked_file
from tasks.store.sql import render

if TYPE_CHECKING:
    from datetime import date

    from engine.discount import Discount
    from engine.diversity import Diversity
    from engine.exploration import Exploration
    from engine.ids import Ids
    from engine.rerank_schema import DiversifyNode, RerankNode

KINDS_FILE = "kinds.parquet"
"""What the items known as of a cut are by the attributes of the rules; the category is in the catalog."""


def kinds_read(rules: Sequence[Rule]) -> list[str]:
    """The attributes of items that rules read from that file, in one order."""
    return sorted({rule.by for rule in diversify_rules(rules)} - {CATEGORY})


def _attributes_read(spec: Spec) -> list[Attribute]:
    return [part for name in kinds_read(spec.rerank) for part in spec.attributes if part.name == name]


def kinds_made_by(spec: Spec) -> list[list[str]]:
    """What that file is a function of beside the data: the attributes of the rules, and of bands the edges."""
    return [[part.name, part.source.name, *map(repr, part.edges)] for part in _attributes_read(spec)]


def write_kinds(tables: Tables, spec: Spec, cut: date, folder: Path) -> None:
    """Write that file, if a rule needs it."""
    attributes = _attributes_read(spec)
    if attributes:
        folder_of_sql, declared = Path(__file__).parent / "sql", RELATIONS["item"]
        values = [Value(part.name, declared, part.sql(declared)) for part in attributes]
        query = render(folder_of_sql, "kinds", values=values, declared=declared, cut=cut)
        tables.write(query, folder / KINDS_FILE)


def rerank_nodes(rules: Sequence[Rule], artifact: str) -> tuple[RerankNode, ...]:
    """Make the nodes of a version that apply the rules; discounts come first, and the one that draws last.

    Args:
        rules: those of the pipeline.
        artifact: where the version, or the folder of a cut, has `KINDS_FILE`.
    """
    from engine.rerank_schema import DiscountNode, DitheringNode, SoftmaxNode

    drawn = explore_rule(rules)
    nodes: list[RerankNode] = [DiscountNode(feature=rule.by, strength=rule.strength) for rule in discount_rules(rules)]
    nodes += _diversify_nodes(rules, artifact)
    if isinstance(drawn, Softmax):
        nodes.append(SoftmaxNode(temperature=drawn.temperature, seed=drawn.seed))
    elif drawn is not None:
        nodes.append(DitheringNode(epsilon=drawn.epsilon, seed=drawn.seed))
    return tuple(nodes)


def _diversify_nodes(rules: Sequence[Rule], artifact: str) -> tuple[DiversifyNode, ...]:
    from engine.rerank_schema import DiversifyNode

    return tuple(
        DiversifyNode(by=rule.by, artifact=None if rule.by == CATEGORY else artifact, strength=rule.strength)
        for rule in diversify_rules(rules)
    )


def load_exploration(rules: Sequence[Rule]) -> Exploration | None:
    """Build what draws lists, as the engine serves it; None where they are not drawn."""
    from engine.loader import exploration

    return exploration(rerank_nodes(rules, KINDS_FILE))


def load_diversity(rules: Sequence[Rule], folder: Path) -> tuple[Ids, Diversity | None]:
    """Load the rules from a cut's folder, as the engine serves them; with the ids of the catalog's items.

    Raises:
        MatineeError: a file is gone, or not what was written.
    """
    from engine.loader import Wiring

    catalog = checked_file(folder, "catalogue.parquet").name
    if kinds_read(rules):
        checked_file(folder, KINDS_FILE)
    wiring = Wiring(folder, catalog)
    return wiring.catalogue.items.ids, wiring.diversity(_diversify_nodes(rules, KINDS_FILE))


def load_discounts(rules: Sequence[Rule]) -> tuple[Discount, ...]:
    """Build what makes scores less, as the engine serves it."""
    from engine.loader import discounts

    return discounts(rerank_nodes(rules, KINDS_FILE))
