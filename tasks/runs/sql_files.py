"""The files of the SQL project, taken apart: models, macros one by one, and the yml that describes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import BuildError, first_line
from tasks.runs.sql_templates import Template, blocks_of, template_of
from tasks.spec.project import Layers

PROJECT_FILE, PROFILES_FILE = "dbt_project.yml", "profiles.yml"
MODEL, MACRO, YML, DOCS, TEST, PROJECT = "model", "macro", "yml", "docs", "test", "project"
_NAME = re.compile(r"^\s*-\s*\{?\s*name:\s*(\w+)", re.MULTILINE)
# A yml with other keys, such as sources, describes more than models.
_OF_MODELS = frozenset({"version", "models", "seeds", "data_tests", "unit_tests", "macros"})


# Compared by identity: two parts may have the same text, and a part is in many sets.
@dataclass(frozen=True, eq=False)
class Part:
    """A piece of the project that is in a pipeline's SQL as a whole, or not at all.

    Attributes:
        path: of its file, below the project.
        kind: what it is.
        name: of a model, a macro (as dbt calls it) or a piece of documentation.
        text: what dbt gets of it.
        template: what it names.
        describes: of a yml, the models and seeds it is about.
        words: of a yml, all its keys and values: generic tests are named so.
        is_general: of a yml, whether it is about more than models.
    """

    path: str
    kind: str
    name: str
    text: str
    template: Template
    describes: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    is_general: bool = False


@dataclass(frozen=True)
class _Yml:
    template: Template
    describes: frozenset[str]
    words: frozenset[str]
    is_general: bool


@dataclass(frozen=True)
class ProjectFile:
    """`dbt_project.yml`, with the paths that depend on the pipeline filled in.

    Attributes:
        root: folder of the file.
        document: what it says.
        variables: of the pipeline.
    """

    root: Path
    document: Mapping[str, Any]
    variables: Mapping[str, str]

    @classmethod
    def read(cls, root: Path, variables: Mapping[str, str]) -> ProjectFile:
        """Read the file.

        Args:
            root: the SQL project.
            variables: those of the pipeline that its paths may name.

        Raises:
            BuildError: it cannot be read.
        """
        path = root / PROJECT_FILE
        try:
            document = _parse(required_text(path))
        except yaml.YAMLError as error:
            raise BuildError(f"{path}: not valid YAML ({first_line(error)}); dbt needs it, so correct it") from None
        if not isinstance(document, dict):
            raise BuildError(f"{path}: found no keys, expected a dbt project")
        return cls(root, document, variables)

    def paths(self, key: str, default: str) -> list[tuple[str, bool]]:
        """List the folders below a key, and whether each is the pipeline's own.

        Raises:
            BuildError: one cannot be rendered, or lies outside of the project.
        """
        raw = [str(path) for path in self.document.get(key) or [default]]
        return [(self._rendered(key, path) if "{" in path else self._inside(key, path), "{" in path) for path in raw]

    def _rendered(self, key: str, path: str) -> str:
        from jinja2 import TemplateError
        from jinja2.sandbox import SandboxedEnvironment

        try:
            return self._inside(key, SandboxedEnvironment(autoescape=False).from_string(path).render(var=self._var))
        except TemplateError as error:
            raise BuildError(f"{self.root / PROJECT_FILE}: {key}: {path!r} cannot be rendered: {error}") from None

    def _inside(self, key: str, path: str) -> str:
        # dbt takes others; but what is found there would be written outside of the project that dbt is given.
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise BuildError(
                f"{self.root / PROJECT_FILE}: {key}: found {path!r}, expected a folder below {self.root.name}/"
            )
        return path

    def _var(self, name: str, default: str = "") -> str:
        return self.variables.get(name, default)

    def part(self) -> Part:
        """The file as what every pipeline has; its variables are left to `text`."""
        settings = {key: value for key, value in self.document.items() if key != "vars"}
        return Part(PROJECT_FILE, PROJECT, "", "", template_of("\n".join(_leaves(settings))))

    def text(self, named: Collection[str] | None, folders: Sequence[str]) -> str:
        """The file with those of its variables that are named, or all, and with more folders of models.

        What stands below a package's name is kept.
        """
        given = self.document.get("vars") or {}
        kept = {
            name: value for name, value in given.items() if named is None or name in named or isinstance(value, dict)
        }
        changed = {**self.document, "vars": kept}
        if folders:
            changed["model-paths"] = [*(self.document.get("model-paths") or ["models"]), *folders]
        return yaml.safe_dump(changed, sort_keys=True, allow_unicode=True)


def refuse_second_projects(sql: Layers) -> None:
    """Refuse a project that brings along settings of dbt, of which there is one file.

    Raises:
        BuildError: naming the file, and what to do.
    """
    for path in (root / name for root in sql.folders[1:] for name in (PROJECT_FILE, PROFILES_FILE)):
        if path.exists():
            raise BuildError(
                f"{path}: matinee has its own, and adds the SQL of a project to it; delete this file, and keep below "
                f"{path.parent.name}/ what is yours"
            )


def required_text(path: Path) -> str:
    """Read a file without which there is no project.

    Raises:
        BuildError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"{path}: cannot be read ({first_line(error)}); dbt needs it, so restore it") from None


def models_in(sql: Layers, folder: str) -> Iterator[Part]:
    """The models or seeds in a folder, each a file of its name, and the yml there."""
    for place, path in _files(sql, folder, {".sql", ".csv", ".yml", ".yaml", ".md"}):
        text = _text(path)
        if path.suffix == ".sql":
            yield Part(place, MODEL, path.stem, text, template_of(text))
        elif path.suffix == ".csv":
            yield Part(place, MODEL, path.stem, text, Template(text))
        elif path.suffix == ".md":
            yield from (Part(place, DOCS, b.name, b.text, Template(b.text)) for b in blocks_of(text) if b.kind == DOCS)
        else:
            yml = _yml(text)
            yield Part(place, YML, "", text, yml.template, yml.describes, yml.words, yml.is_general)


def macros_in(sql: Layers, folder: str) -> Iterator[Part]:
    """The macros, generic tests and materializations in a folder."""
    for place, path in _files(sql, folder, {".sql"}):
        for block in blocks_of(_text(path)):
            if block.kind != DOCS:
                yield Part(place, MACRO, block.macro, block.text, template_of(block.text))


def tests_in(sql: Layers, folder: str) -> Iterator[Part]:
    """The tests in a folder that are each a file of their own; below `generic` lie macros."""
    for place, path in _files(sql, folder, {".sql"}):
        if "generic" not in Path(place).relative_to(folder).parts:
            text = _text(path)
            yield Part(place, TEST, path.stem, text, template_of(text))


def _files(sql: Layers, folder: str, suffixes: set[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder, and their places in the project that dbt is given.

    Raises:
        BuildError: two of them have the same place.
    """
    taken: dict[str, Path] = {}
    for root in sql.folders:
        # dbt skips these names, too: editors keep locks and copies in them.
        found = (path for path in (root / folder).rglob("*") if path.suffix in suffixes and path.name[0] not in ".#~")
        for path in sorted(found):
            place = path.relative_to(root).as_posix()
            # `target` is what dbt compiles when it is run by hand.
            if not path.is_file() or "target" in Path(place).parts:
                continue
            if place in taken:
                raise BuildError(
                    f"{path}: matinee has a file at this place itself, {taken[place]}; what a project has is added to "
                    "it, so give yours another name"
                )
            taken[place] = path
            yield place, path


def _text(path: Path) -> str:
    try:
        # Any bytes: somebody else's file must not keep a pipeline from being read.
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""  # an editor has just replaced it


def _parse(text: str) -> Any:
    # The parser in C: the other takes longer than all the rest of the search.
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe


@lru_cache(maxsize=1024)
def _yml(text: str) -> _Yml:
    try:
        document = _parse(text)
    except (yaml.YAMLError, ValueError):
        # Half-written: it belongs to whoever has a model that it seems to describe, and dbt says what is wrong.
        return _Yml(Template(text), frozenset(_NAME.findall(text)), frozenset(), is_general=False)
    if not isinstance(document, dict):
        return _Yml(Template(text), frozenset(), frozenset(), is_general=False)
    leaves = list(_leaves(document))
    entries = [*(document.get("models") or ()), *(document.get("seeds") or ())]
    return _Yml(
        template_of("\n".join(leaves)),
        frozenset(str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry),
        frozenset(leaf.rpartition(".")[2] for leaf in leaves),
        is_general=bool(document.keys() - _OF_MODELS),
    )


def _leaves(value: Any) -> Iterator[str]:
    """Yield the keys and the texts of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value
