"""What dbt is given of a pipeline's staging beyond the files of its folder: its source, and models that it leaves out.

Each column is declared once, in `transforms/datasets/<name>.yaml`; dbt's yml of it is made whenever the SQL project is
put together, so that the digest of the SQL names it, too. Of the five staging models, a folder has those that say
something: the others are those in `models/staging_defaults` (ADR 34).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import BuildError, first_line
from tasks.runs.sql_files import MODEL, YML, Part, models_in
from tasks.runs.sql_templates import template_of
from tasks.spec.project import Layers

DEFAULTS = "models/staging_defaults"
REJECTED_ROWS = "stg_rejected_rows"
LANDING = "landing"
MADE = "made_from_dataset"
"""Name of the yml, among the files of the staging folder that dbt is given, and of a file of macros."""
# Beside the columns that are declared: the reader adds them to every table of files (docs/bring-your-own-data.md).
_OF_EVERY_TABLE = {"line_number": "BIGINT"}
_REJECTS = {"table_name": "VARCHAR", "line": "BIGINT", "column_name": "VARCHAR", "error": "VARCHAR", "raw": "VARCHAR"}
_RULED = re.compile(r"\bruled\(\s*(?:'(\w+)'|\"(\w+)\"|(\w+))")
_LANDED = re.compile(r"\blanding\(\s*['\"](\w+)['\"]")
_DECLARES_LANDING = re.compile(r"^sources:.*?\bname:\s*['\"]?landing\b", re.MULTILINE | re.DOTALL)


def defaults_for(sql: Layers, own: Sequence[Part]) -> list[Part]:
    """List the models, and the yml of models, that a staging folder leaves out.

    Args:
        sql: the SQL project.
        own: the parts of the folder.

    Raises:
        BuildError: nothing tells which of the folder's models stages which table.
    """
    models = {part.name for part in own if part.kind == MODEL}
    described = {name for part in own for name in part.describes}
    left_out = [
        part
        for part in models_in(sql, DEFAULTS)
        if part.name not in models and not (part.kind == YML and part.describes & (models | described))
    ]
    # A folder without any model is no staging: dbt says which one it misses.
    if sql.whole(DEFAULTS).is_dir() and models and REJECTED_ROWS not in models:
        left_out.append(_rejected_rows(own))
    return left_out


def _rejected_rows(own: Sequence[Part]) -> Part:
    """`stg_rejected_rows` of the tables that the folder's models call `ruled` for."""
    staged: dict[str, str] = {}
    for part in own:
        for single, double, variable in _RULED.findall(part.text) if part.kind == MODEL else ():
            if variable:
                raise BuildError(
                    f"{part.path}: found `ruled({variable}`, whose table is not spelled there; write the model "
                    f"{REJECTED_ROWS}.sql beside it, which names the tables and the models that stage them"
                )
            staged[single or double] = part.name
    text = f"{{{{ config(materialized='ephemeral') }}}}\n\n{{{{ rejected_rows({staged!r}) }}}}\n"
    return Part(f"{DEFAULTS}/{REJECTED_ROWS}.sql", MODEL, REJECTED_ROWS, text, template_of(text))


def source_of_files(sql: Layers, staging: str) -> dict[str, str]:
    """Make dbt's yml of a landing whose tables a dataset file declares, and the macro that names their columns.

    Args:
        sql: the SQL project.
        staging: name of the dataset file and of its staging folder.

    Returns:
        The texts by path in the SQL project; empty if there is no such dataset file.

    Raises:
        BuildError: the file cannot be read, a yml of the staging folder declares the same, or a model does not tell
            rows that are sent again.
    """
    path = sql.whole(f"datasets/{staging}.yaml")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path}: cannot be read ({first_line(error)}); correct it") from None
    folder = sql.whole(f"models/staging/{staging}")
    for yml in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        _refuse_a_second_declaration(yml, path)
    tables = _tables(path, text)
    for model in sorted(folder.glob("*.sql")):
        _refuse_to_count_again(model, {name for name, table in tables.items() if table.comes_again}, path)
    return {f"models/staging/{staging}/{MADE}.yml": _yml(path, tables), f"macros/{MADE}.sql": _macro(tables)}


def _refuse_a_second_declaration(yml: Path, dataset: Path) -> None:
    text = yml.read_text(encoding="utf-8", errors="surrogateescape")
    if match := _DECLARES_LANDING.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise BuildError(
            f"{yml}:{line}: sources: found the source `{LANDING}`, whose tables and columns are those of {dataset}; "
            "delete this entry of the yml, and with it `sources:` if there is no other"
        )


def _refuse_to_count_again(model: Path, tables: Set[str], dataset: Path) -> None:
    """A model that reads a table with a key, and not by `ruled`, has to ask which rows an earlier day has sent."""
    text = model.read_text(encoding="utf-8", errors="surrogateescape")
    for match in _LANDED.finditer(text) if "sent_before" not in text else ():
        if match[1] in tables:
            line = text.count("\n", 0, match.start()) + 1
            raise BuildError(
                f"{model}:{line}: found `landing('{match[1]}')`, whose rows may come again on a later day, for "
                f"{dataset} declares its `key`; expected `ruled(…)`, which rejects them, or a rule of the model's own: "
                "`when sent_before is not null then 'sent_again'`"
            )


@dataclass(frozen=True)
class _Table:
    """What dbt needs of a table's declaration: its columns' types, and whether rows of a day may come again later."""

    columns: Mapping[str, str]
    comes_again: bool


@lru_cache(maxsize=64)
def _tables(path: Path, text: str) -> dict[str, _Table]:
    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        # Only what dbt needs: the reader of files checks the rest of the declaration before anything lands.
        return {
            str(name): _Table(
                {str(column["name"]): str(column["type"]) for column in table["columns"]},
                bool(table.get("key")) and ("{ds}" in str(table.get("file")) or {"from", "day"} <= table.keys()),
            )
            for name, table in document["tables"].items()
        }
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise BuildError(
            f"{path}: found no `tables` with `columns`, each with `name` and `type` ({type(error).__name__}: "
            f"{first_line(error)}); expected a dataset file, see docs/dataset.md"
        ) from None


def _yml(path: Path, tables: Mapping[str, _Table]) -> str:
    about = f"As {path.name} declares it."
    described = [_described(name, {**table.columns, **_OF_EVERY_TABLE}, about) for name, table in tables.items()]
    rejects = _described("_rejects", _REJECTS, "Records of files that could not be read.")
    source = {"name": LANDING, "description": about, "tables": [*described, rejects]}
    return yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, allow_unicode=True)


def _macro(tables: Mapping[str, _Table]) -> str:
    # dbt's graph would tell the same, but unit tests have none.
    names = {name: list(table.columns) for name, table in tables.items()}
    return f"{{% macro dataset_columns(table) %}}{{{{ return({names!r}[table]) }}}}{{% endmacro %}}\n"


def _described(name: str, columns: Mapping[str, str], description: str) -> dict[str, Any]:
    typed = [{"name": column, "data_type": kind.lower()} for column, kind in columns.items()]
    return {"name": name, "description": description, "columns": typed}
