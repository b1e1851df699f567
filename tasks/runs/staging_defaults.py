"""What dbt is given of a pipeline's staging beyond the files of its folder: the source, as the dataset file declares it.

Each column is declared once, in `transforms/datasets/<name>.yaml`; dbt's yml of it is made whenever the SQL project is
put together, so that the digest of the SQL names it, too (ADR 34).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import BuildError, first_line

LANDING = "landing"
MADE = "made_from_dataset.yml"
"""Name of the yml, among the files of the staging folder that dbt is given."""
# Beside the columns that are declared: the reader adds them to every table of files (docs/bring-your-own-data.md).
_OF_EVERY_TABLE = {"line_number": "BIGINT"}
_REJECTS = {"table_name": "VARCHAR", "line": "BIGINT", "column_name": "VARCHAR", "error": "VARCHAR", "raw": "VARCHAR"}
_DECLARES_LANDING = re.compile(r"^sources:.*?\bname:\s*['\"]?landing\b", re.MULTILINE | re.DOTALL)


def source_of_files(root: Path, staging: str) -> dict[str, str]:
    """Make dbt's yml of a landing whose tables a dataset file declares.

    Args:
        root: the SQL project.
        staging: name of the dataset file and of its staging folder.

    Returns:
        The yml's text by its path below `root`; empty if there is no such dataset file.

    Raises:
        BuildError: the file cannot be read, or a yml of the staging folder declares the same.
    """
    path = root / "datasets" / f"{staging}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path}: cannot be read ({first_line(error)}); correct it") from None
    folder = root / "models" / "staging" / staging
    for yml in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        _refuse_a_second_declaration(yml, path)
    return {f"models/staging/{staging}/{MADE}": _yml(path, text)}


def _refuse_a_second_declaration(yml: Path, dataset: Path) -> None:
    text = yml.read_text(encoding="utf-8", errors="surrogateescape")
    if match := _DECLARES_LANDING.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise BuildError(
            f"{yml}:{line}: sources: found the source `{LANDING}`, whose tables and columns are those of {dataset}; "
            "delete this entry of the yml, and with it `sources:` if there is no other"
        )


@lru_cache(maxsize=64)
def _yml(path: Path, text: str) -> str:
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        # Only what dbt needs: the reader of files checks the rest of the declaration before anything lands.
        tables = {str(name): dict(_columns(table)) for name, table in document["tables"].items()}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise BuildError(
            f"{path}: found no `tables` with `columns`, each with `name` and `type` ({type(error).__name__}: "
            f"{first_line(error)}); expected a dataset file, see docs/dataset.md"
        ) from None
    described = [_table(name, columns, f"As {path.name} declares it.") for name, columns in tables.items()]
    rejects = _table("_rejects", _REJECTS, "Records of files that could not be read.")
    source = {"name": LANDING, "description": f"As {path.name} declares it.", "tables": [*described, rejects]}
    return yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, allow_unicode=True)


def _columns(table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((str(column["name"]), str(column["type"])) for column in table["columns"])
    yield from _OF_EVERY_TABLE.items()


def _table(name: str, columns: Mapping[str, str], description: str) -> dict[str, Any]:
    typed = [{"name": column, "data_type": kind.lower()} for column, kind in columns.items()]
    return {"name": name, "description": description, "columns": typed}
