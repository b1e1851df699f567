"""Which SQL a pipeline's tables are made of: the parts of the dbt project that its models depend on, and no others.

    models that matinee reads, and the pipeline's own staging
      → the models they name → the macros they name → the yml that describes them → what those name …

dbt gets a project of exactly these parts, and their digest names what it builds. So a file of another pipeline can
neither make these tables stale nor break their build, and what the search does not see is not there for dbt either: the
build fails by name, and never gives tables that the digest says nothing about (ADR 25).
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path

from tasks.runs.sql_files import (
    DOCS,
    MACRO,
    MODEL,
    PROFILES_FILE,
    PROJECT,
    PROJECT_FILE,
    TEST,
    YML,
    Part,
    ProjectFile,
    macros_in,
    models_in,
    refuse_second_projects,
    required_text,
    tests_in,
)
from tasks.runs.staging_defaults import DEFAULTS, defaults_for, source_of_files
from tasks.spec.attributes import RELATIONS
from tasks.spec.feature_catalog import MARTS
from tasks.spec.project import Layers, transforms
from tasks.spec.spec import Spec
from tasks.store.files import digest

READ_MODELS = frozenset({
    *MARTS, *RELATIONS.values(), "feat_user_values", "labels", "users", "items", "interactions", "impressions",
    "rejected_rows", "int_user_item_daily",
})  # fmt: skip
"""Models whose rows are read outside of the SQL project; of the shared ones, what none of them needs is not built."""
_GRAIN = re.compile(r"meta=\{'grain': '(\w+)'\}")
# dbt makes these names from a setting of a model, so that nobody spells them.
_NAMED_BY_SETTING = re.compile(r"materialization_.*|get_incremental_\w+_sql")
_DBT_MACRO = re.compile(r"\{%-?\s*(macro|test|materialization)\s+(\w+)")


@dataclass(frozen=True)
class PipelineSql:
    """The SQL project of one pipeline.

    Attributes:
        files: what dbt gets, by path below `transforms/`.
    """

    files: Mapping[str, str]

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digest of each file."""
        return {path: hashlib.sha256(self.content(path)).hexdigest() for path in self.files}

    @cached_property
    def digest(self) -> str:
        """Digest of them all."""
        return digest(self.digests)

    def content(self, path: str) -> bytes:
        """What stands in a file."""
        return self.files[path].encode("utf-8", "surrogateescape")

    def models(self, grain: str) -> tuple[str, ...]:
        """The models that hold rows by a grain: ds, as_of or cut."""
        # Read from the text, because starting dbt takes seconds: a grain that is spelled differently goes unnoticed.
        found = ((path, _GRAIN.search(text)) for path, text in sorted(self.files.items()) if path.endswith(".sql"))
        return tuple(Path(path).stem for path, match in found if match and match[1] == grain)

    def write(self, folder: Path) -> None:
        """Write the files into an empty folder."""
        for path in self.files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self.content(path))


def sql_of(spec: Spec) -> PipelineSql:
    """Find the SQL of a pipeline, as its files are now.

    Raises:
        BuildError: `dbt_project.yml` cannot be read, or declares what the dataset file does.
    """
    return find_sql(transforms(), {"pipeline": spec.name, "staging": spec.staging})


def find_sql(sql: Layers, variables: Mapping[str, str]) -> PipelineSql:
    """Find the SQL of a pipeline in a project.

    Args:
        sql: matinee's SQL project, and what is added to it.
        variables: of the pipeline, those on which the project's paths depend.

    Raises:
        BuildError: `dbt_project.yml` or `profiles.yml` cannot be read, or the staging declares what the dataset file
            does.
    """
    root = sql.folders[0]
    project = ProjectFile.read(root, variables)
    refuse_second_projects(sql)
    parts = _reached(project, sql)
    texts: dict[str, list[str]] = {}
    for part in parts:
        texts.setdefault(part.path, []).append(part.text)
    files = {path: "\n".join(pieces) for path, pieces in texts.items()}
    named = None if any(part.template.opaque for part in parts) else _texts(parts)
    more = [DEFAULTS, *_added_folders(project, sql)]
    files[PROJECT_FILE] = project.text(named, [name for name in more if any(path.startswith(name) for path in files)])
    files[PROFILES_FILE] = required_text(root / PROFILES_FILE)
    files |= source_of_files(sql, variables.get("staging", ""))
    return PipelineSql(dict(sorted(files.items())))


def _added_folders(project: ProjectFile, sql: Layers) -> list[str]:
    """List the folders of models that only what is added has: dbt has to be told of them."""
    known = [path for path, _ in project.paths("model-paths", "models")]
    added = {f"models/{path.name}" for root in sql.folders[1:] for path in root.glob("models/*") if path.is_dir()}
    # Of the folders below `staging`, the pipeline has its own and no other.
    return sorted(added - {*known, DEFAULTS, "models/staging"})


def _reached(project: ProjectFile, sql: Layers) -> list[Part]:
    """List the parts that the pipeline depends on, in the order of their files."""
    index = _Index(project, sql)
    reached: set[Part] = set()
    waiting = list(index.roots())
    while waiting:
        while waiting:
            part = waiting.pop()
            if part not in reached:
                reached.add(part)
                waiting += index.used_by(part)
        # What joins only because of others, and may bring along more.
        waiting = [part for part in chain(index.joining(reached), index.passed_on(reached)) if part not in reached]
    return [part for part in index.parts if part in reached]


class _Index:
    """All parts of the project that a pipeline may have, by name."""

    def __init__(self, project: ProjectFile, sql: Layers) -> None:
        tests = [folder for folder, _ in project.paths("test-paths", "tests")]
        macros = [folder for folder, _ in project.paths("macro-paths", "macros")]
        folders = [*project.paths("model-paths", "models"), *project.paths("seed-paths", "seeds")]
        staging = [part for folder, is_own in folders if is_own for part in models_in(sql.of(folder), folder)]
        own = [*staging, *defaults_for(sql, staging)]
        names = [*(folder for folder, is_own in folders if not is_own), *_added_folders(project, sql)]
        shared = [part for folder in names for part in models_in(sql, folder)]
        generic = [f"{folder}/generic" for folder in tests]
        self.own = own
        self.parts = [
            project.part(),
            *shared,
            *own,
            *(part for folder in [*macros, *generic] for part in macros_in(sql, folder)),
            *(part for folder in tests for part in tests_in(sql, folder)),
        ]
        self.models = _by_name(self.parts, MODEL)
        self.macros = _by_name(self.parts, MACRO)
        self.variants: dict[str, list[Part]] = {}
        for name, parts in self.macros.items():
            self.variants.setdefault(_without_adapter(name), []).extend(parts)

    def roots(self) -> Iterator[Part]:
        """What the pipeline has whatever is named."""
        yield from (part for part in self.parts if part.kind == PROJECT)
        yield from (part for part in self.own if part.kind == MODEL)
        for name in READ_MODELS:
            yield from self.models.get(name, ())
        for name, parts in self.macros.items():
            if _NAMED_BY_SETTING.fullmatch(name) or _without_adapter(name) in _macros_of_dbt():
                yield from parts

    def used_by(self, part: Part) -> Iterator[Part]:
        """What a part names."""
        template = part.template
        if template.opaque:
            # Not to be told from the text: anything.
            yield from (other for other in self.parts if other.kind in {MODEL, MACRO})
        for name in template.names:
            yield from self.macros.get(name, ())
        for name in template.refs | part.describes:
            yield from self.models.get(name, ())
        for text in template.texts if template.dispatches else ():
            yield from self.variants.get(text, ())
        for word in part.words:
            yield from self.macros.get(f"test_{word}", ())

    def joining(self, reached: Collection[Part]) -> Iterator[Part]:
        """The yml, documentation and tests of what has been reached."""
        models = {part.name for part in reached if part.kind == MODEL}
        texts = _texts(reached)
        for part in self.parts:
            if (
                (part.kind == YML and (part.is_general or part.describes & models))
                or (part.kind == DOCS and part.name in texts)
                or (part.kind == TEST and part.template.refs & models)
            ):
                yield part

    def passed_on(self, reached: Iterable[Part]) -> Iterator[Part]:
        """The models that a `ref(name)` may mean: those whose names are texts there, or where its macro is called."""
        parts = set(reached)
        callers = {part for part in parts if part.template.refs_a_variable}
        while True:
            names = {part.name for part in callers if part.kind == MACRO}
            more = {part for part in parts - callers if part.template.names & names}
            if not more:
                break
            callers |= more
        for text in _texts(callers):
            yield from self.models.get(text, ())


def _texts(parts: Iterable[Part]) -> frozenset[str]:
    return frozenset(chain.from_iterable(part.template.texts for part in parts))


def _by_name(parts: Iterable[Part], kind: str) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        if part.kind == kind:
            found.setdefault(part.name, []).append(part)
    return found


def _without_adapter(macro: str) -> str:
    """The name that `adapter.dispatch` is given for a macro like `duckdb__landing`."""
    return macro.partition("__")[2] or macro


@cache
def _macros_of_dbt() -> frozenset[str]:
    """The macros that dbt has itself, and calls: the project's own of the same name takes their place."""
    # Without importing dbt, which takes seconds.
    package = importlib.util.find_spec("dbt")
    folders = package.submodule_search_locations if package and package.submodule_search_locations else ()
    names: set[str] = set()
    for folder in folders:
        for path in (Path(folder) / "include").rglob("*.sql"):
            found = _DBT_MACRO.findall(path.read_text(encoding="utf-8"))
            names |= {f"test_{name}" if kind == "test" else name for kind, name in found}
    return frozenset(_without_adapter(name) for name in names)
