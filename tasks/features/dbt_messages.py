"""What dbt says of a build that failed, in the words of whoever wrote the staging models.

dbt checks the types where the canonical models take the rows over, and drowns one error in everything that was skipped
because of it. Here the error stands alone, with the staging model that it comes from and what to do there.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from tasks.errors import SpecError
from tasks.sources.datasets import load_dataset
from tasks.spec.parts import DatasetSource
from tasks.spec.spec import Spec
from tasks.spec.yaml_lines import nearest
from tasks.store.records import Record

STAGED = {
    "users": "stg_users",
    "int_user_observations": "stg_users",
    "items": "stg_items",
    "int_item_observations": "stg_items",
    "interactions": "stg_interactions",
    "impressions": "stg_impressions",
    "rejected_rows": "stg_rejected_rows",
}
"""The staging model whose rows a model takes over."""
# What dbt says of a model or a macro that it has not been given.
UNSEEN_SIGNS = ("which was not found", "is undefined")
UNSEEN = (
    "  dbt gets only what the SQL of this pipeline names (docs/adr/0025): if it is there, spell its name where it is "
    "used, ref('<model>') or <macro>(…), rather than putting it together"
)
_CONTRACT = "enforced contract that failed"
_ROW = re.compile(
    r"\| (?P<column>\w+) \|(?P<found>[^|]*)\|(?P<expected>[^|]*)\| "
    r"(?P<why>data type mismatch|missing in definition|missing in contract) (?=\|)"
)
_LACKS = re.compile(r'Binder Error: Referenced column "(?P<column>\w+)" not found')
_SOURCE = re.compile(r"\((?P<file>[^)]+)\) depends on a source named 'landing\.(?P<table>\w+)' which was not found")


class ModelOutcome(Record):
    """What dbt says of a model or a test that it ran."""

    name: str
    kind: str
    status: str
    seconds: float
    rows: int | None
    message: str

    @property
    def ended_well(self) -> bool:
        """Whether it neither failed nor was skipped."""
        return self.status in {"success", "pass", "warn"}


def problems_of(spec: Spec, results: Sequence[ModelOutcome], exception: BaseException | None) -> list[str]:
    """List what kept a build from ending well, the causes alone; empty if nothing did.

    Args:
        spec: the pipeline that is built.
        results: of its models and tests; empty if dbt could not read the project.
        exception: what kept dbt from running any.
    """
    wrong = [result for result in results if not result.ended_well]
    skipped = [result for result in wrong if result.status == "skipped"]
    lines = [line for result in wrong if result.status != "skipped" for line in _of_result(spec, result)]
    if exception is not None:
        lines += _of_exception(spec, exception)
    elif not results:
        lines.append("  dbt selected nothing")
    if skipped:
        what = "model or test that depends" if len(skipped) == 1 else "models and tests that depend"
        lines.append(f"  {len(skipped)} {what} on it did not run")
    return lines


def _of_result(spec: Spec, result: ModelOutcome) -> Iterator[str]:
    staging = _staging_of(spec, result.name)
    if _CONTRACT in result.message and (rows := list(_ROW.finditer(result.message))):
        place = staging or result.name
        yield from (f"  {result.name}: {_of_column(place, row)}" for row in rows)
        return
    lacks = _LACKS.search(result.message)
    if lacks is not None and staging is not None:
        yield f"  {result.name}: {staging} has no column {lacks['column']}: select it there, under this name"
    yield f"  {result.name}: {result.status}: {result.message}"


def _staging_of(spec: Spec, model: str) -> str | None:
    staged = STAGED.get(model)
    return staged and f"{staged} (transforms/models/staging/{spec.staging}/{staged}.sql)"


def _of_column(place: str, row: re.Match[str]) -> str:
    column, found, expected = row["column"], row["found"].strip(), row["expected"].strip()
    if row["why"] == "data type mismatch":
        return (
            f"the column {column} of {place} has another type: found {found}, expected {expected}; select "
            f"`cast({column} as {expected.lower()}) as {column}`"
        )
    if row["why"] == "missing in definition":
        return f"{place} has no column {column}: found none, expected one of type {expected}"
    return f"{place} has a column {column} too many: found one of type {found}, expected none of this name"


def _of_exception(spec: Spec, exception: BaseException) -> list[str]:
    text = _in_one_line(exception)
    source = _SOURCE.search(text)
    if source is not None:
        return [f"  {text}", *_of_source(spec, source["file"], source["table"])]
    return [f"  {text}", *([UNSEEN] if any(sign in text for sign in UNSEEN_SIGNS) else [])]


def _in_one_line(error: BaseException) -> str:
    """Keep what dbt says before it draws a line and quotes the file: what is wrong, in which file, near which line."""
    said = itertools.takewhile(lambda line: not line.strip().startswith("---"), str(error).splitlines())
    return " ".join(" ".join(said).split())


def _of_source(spec: Spec, file: str, table: str) -> list[str]:
    """Say where a landed table is declared to SQL."""
    if not isinstance(spec.source, DatasetSource):
        declared_in = f"transforms/models/staging/{spec.staging}/staging.yml"
        return [f"  {declared_in} lists the tables that are landed, under `sources:`; expected {table!r} among them"]
    dataset = f"transforms/datasets/{spec.source.dataset}.yaml"
    try:
        tables = load_dataset(spec.source.dataset).tables
    except SpecError as error:
        return [f"  {error}"]
    if table not in tables:
        return [
            f"  {dataset} lands no table {table!r}: expected one of {', '.join(tables)}{nearest(table, tables) or '.'} "
            f"Correct the name in transforms/{file}, or declare the table there"
        ]
    return []
