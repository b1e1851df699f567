"""HTML of the pages: one environment for all templates, in which everything that comes from data is escaped.

A page is one file: no network, no script. Templates and their parts lie in `templates/`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.checks.profile_columns import shown
from tasks.errors import visible

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


def page(template: str, content: Mapping[str, object]) -> str:
    """Render a page as HTML.

    Args:
        template: name of a file in `templates/`, without its endings.
        content: values of the names in it; a name or an attribute that is missing is an error.
    """
    return _environment().get_template(f"{template}.html.j2").render(content)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # Not by name: jinja's own rule escapes *.html, and these end in .j2.
        autoescape=True,
        # As on a terminal: a title's escape character or reordering mark is seen, and neither acts nor hides.
        finalize=_finalize,
        undefined=StrictUndefined,  # a typo in a template must fail a test, not leave a hole in a page
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "figure": figure, "percent": percent, "size": size, "short": short}
    return environment


def _finalize(value: object) -> object:
    # A template's own text and what it marked as safe are no data.
    return visible(value) if type(value) is str else value


def link(target: Path, here: Path) -> str:
    """The relative link from the page `here` to a file."""
    # Relative, so that it leads to the same file on disk and served.
    return Path(os.path.relpath(target, here.parent)).as_posix()


def figure(value: float | None) -> str:
    """Format a metric, with four decimals."""
    return "–" if value is None else f"{value:.4f}"


def percent(share: float | None) -> str:
    """Format a share in whole percent."""
    return "–" if share is None else f"{round(100 * share)} %"


def size(count: int) -> str:
    """Format a number of bytes, in decimal units."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:,.0f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def short(digest: str) -> str:
    """Shorten a digest to what tells it from others."""
    # 48 bits: two digests of one pipeline that begin alike are out of the question.
    return digest[:12]
