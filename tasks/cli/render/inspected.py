"""What a version learned, on the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tasks.publishing.inspection import Dependence, ExplainedList, Inspection, PopulationSummary
from tasks.publishing.retriever_inspection import RetrieverSummary, SimilarItems
from tasks.publishing.tree_inspection import ShownTrees

STRONGEST = 5
"""Contributions of an item that are shown."""
BAR = 4
"""Characters of the longest bar: what 80 columns leave beside the longest names."""


def render_inspection(found: Inspection) -> Iterator[RenderableType]:
    """Lay out what was asked for: the summary, or else only the answers to the question."""
    if found.explained is not None:
        yield _explained(found.explained)
    for alike in found.similar:
        yield _similar(alike)
    for dependence in found.dependence:
        yield _dependence(dependence)
    for trees in found.trees:
        yield from _trees(trees)
    if found.populations or found.retrievers:
        yield Text(f"{found.pipeline} {found.version}", style="bold")
        for population in found.populations:
            yield _population(population)
        yield _retrievers(found.retrievers)


def _table(title: str, *names: str) -> Table:
    """A table whose columns but the first are numbers, unless their names say that they are texts."""
    table = Table(title=title, title_justify="left")
    for name in names:
        text = name in {names[0], "title", "type", ""} or "contributions" in name
        table.add_column(name, justify="left" if text else "right")
    return table


def _population(found: PopulationSummary) -> Table:
    title = (
        f"population {found.population}: {found.function}; mean absolute contribution over {found.rows:,} candidates "
        f"of {found.users:,} users"
    )
    table = _table(title, "feature", "contribution", "share", "direction", "")
    for feature in found.features:
        direction = "" if feature.direction is None else f"{feature.direction:+.2f}"
        bar = "█" * round(BAR * feature.mean / (found.features[0].mean or 1.0))
        table.add_row(feature.feature, f"{feature.mean:.4f}", f"{100 * feature.share:.1f} %", direction, bar)
    return table


def _retrievers(found: tuple[RetrieverSummary, ...]) -> Table:
    table = _table("retrievers", "name", "type", "k", "items", "users", "kB", "length of item factors")
    for one in found:
        norms = one.norms
        lengths = "" if norms is None else f"{norms.least:.2g} … {norms.median:.2g} … {norms.largest:.2g}"
        users = "" if one.users is None else f"{one.users:,}"
        table.add_row(one.retriever, one.type, str(one.k), f"{one.items:,}", users, f"{one.bytes / 1e3:,.0f}", lengths)
    return table


def _explained(found: ExplainedList) -> Table:
    title = f"user {found.user}, population {found.population}: score = {found.base:.4f} (typical) + contributions"
    table = _table(title, "item", "title", "score", "strongest contributions")
    for item in found.items:
        parts = [
            f"{part.feature} = {'missing' if part.value is None else f'{part.value:.4g}'}: {part.contribution:+.4f}"
            for part in item.contributions[:STRONGEST]
        ]
        rest = sum(part.contribution for part in item.contributions[STRONGEST:])
        table.add_row(item.item, item.title, f"{item.score:.4f}", "\n".join([*parts, f"all others: {rest:+.4f}"]))
    return table


def _trees(found: ShownTrees) -> Iterator[Text]:
    for number, text in enumerate(found.trees, 1):
        title = f"population {found.population}, {found.artifact}: tree {number:,} of {found.count:,}"
        yield Text(title, style="bold")
        yield Text(text)


def _similar(found: SimilarItems) -> Table:
    table = _table(f"most alike for {found.retriever}", "item", "title", found.measure)
    for item in found.items:
        table.add_row(item.item, item.title, f"{item.similarity:.4f}")
    return table


def _dependence(found: Dependence) -> Table:
    title = f"population {found.population}: mean score, all else equal"
    table = _table(title, found.feature, "score", "")
    scores = [point.score for point in found.points]
    low, spread = min(scores, default=0.0), (max(scores, default=0.0) - min(scores, default=0.0)) or 1.0
    for point in found.points:
        table.add_row(f"{point.value:.4g}", f"{point.score:.4f}", "█" * round(BAR * (point.score - low) / spread))
    return table
