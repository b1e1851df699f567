"""A user's list on the terminal, and as JSON."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.cli.answers import Ranked, RankedItem
from tasks.publishing.rank import UserList


def render_list(found: UserList) -> RenderableType:
    """Lay out a list as a table, with a remark above it if the user is not known."""
    answer = found.response
    title = f"{found.pipeline} {found.version}: user {found.user}, population {answer.population}"
    table = Table(title=title, title_justify="left")
    for name in ("rank", "score", "item", "title"):
        table.add_column(name, justify="right" if name in {"rank", "score"} else "left")
    for position, (item, score) in enumerate(zip(answer.items, answer.scores, strict=True), start=1):
        table.add_row(str(position), f"{score:.4f}", item, answer.titles[position - 1])
    if found.known:
        return table
    # A version's name begins with its as-of day.
    remark = f"user {found.user!r} is not known as of {found.version[:10]}: popular items"
    return Group(Text(remark, style="yellow"), table)


def ranked(found: UserList) -> Ranked:
    """The answer of `rank`."""
    answer = found.response
    items = tuple(
        RankedItem(rank=rank, item=item, score=float(score), title=title)
        for rank, (item, score, title) in enumerate(zip(answer.items, answer.scores, answer.titles, strict=True), 1)
    )
    return Ranked(
        pipeline=found.pipeline, version=found.version, user=found.user, known=found.known,
        population=answer.population, items=items,
    )  # fmt: skip
