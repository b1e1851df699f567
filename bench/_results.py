"""Shared by the benchmarks: Markdown tables, on the screen and in `bench/results/`, and a state folder."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parent / "results"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table; all columns but the first are right-aligned."""
    widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]
    lines = [[name.ljust(width) for name, width in zip(row, widths, strict=True)] for row in (header, *rows)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def show(name: str, text: str, *, write: bool) -> None:
    """Print a result, and with `write` keep it in `bench/results/`."""
    print(text)
    if write:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.md").write_text(f"{text}\n", encoding="utf-8")


def keep(name: str, title: str, sections: Sequence[str], section: str, text: str) -> None:
    """Replace one section of a page of `bench/results/`; the others stay, in the order of `sections`."""
    path = FOLDER / f"{name}.md"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = dict(re.findall(r"<!-- (\w+) -->\n(.*?)\n(?=\n<!--|\Z)", old, re.S)) | {section: text}
    FOLDER.mkdir(exist_ok=True)
    body = "\n\n".join(f"<!-- {one} -->\n{parts[one]}" for one in sections if one in parts)
    path.write_text(f"# {title}\n\n{body}\n", encoding="utf-8")


@contextmanager
def home_of(given: Path | None) -> Iterator[Path]:
    """Yield the given state folder, or a temporary one."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if given is not None:
        yield given.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="matinee-bench-") as folder:
            yield Path(folder)
