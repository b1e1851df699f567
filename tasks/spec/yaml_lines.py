"""YAML read with the line of every key, so that an error can say where."""

from __future__ import annotations

import difflib
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import SpecError, first_line, quoted
from tasks.spec.project import TOOL, VARIABLE, pipelines_folder

LARGEST = 262_144
"""Bytes of a file: fifty times a long pipeline file, and read in a tenth of a second."""
DEEPEST = 50
LONGEST_NUMBER = 32
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SEEN_BY_THEIR_WORK = frozenset("\n\t\u200c\u200d")


class _Loader(yaml.CSafeLoader):
    """Safe YAML in which a day stays the text that was written (the models read it), and 1e-3 is a number."""


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
# YAML 1.1 requires a dot in such a number and would read 1e-3 as text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


@dataclass(frozen=True)
class Document:
    """A YAML file: its value, and the line (from 1) of every key and item in it."""

    path: Path
    value: Any
    lines: dict[tuple[Any, ...], int]

    def known(self, location: Sequence[Any]) -> tuple[Any, ...]:
        """Follow `location` as far as it is a place in the file, skipping parts that stand for no key."""
        place: tuple[Any, ...] = ()
        for part in location:
            if (*place, part) in self.lines:
                place = (*place, part)
        return place

    def at(self, location: Sequence[Any]) -> str:
        """Name a place as editors and terminals do, `file:line`."""
        return f"{self.path}:{self.lines.get(self.known(location), 1)}"


LISTED = 12
"""Known names that an error lists."""


def unknown_name(what: str, name: str, names: Iterable[str]) -> str:
    """Say that a name is none of those that there are, and which is the nearest."""
    known = sorted(set(names))
    listed = ", ".join(known[:LISTED]) + (f", … ({len(known)} in all)" if len(known) > LISTED else "")
    return f"unknown {what} {quoted(name)}; expected one of {listed}{nearest(name, known)}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest the nearest of `names`, as `; did you mean 'x'?`; nothing when none is near."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def read_document(path: Path) -> Document:
    """Read a YAML file whose top is a mapping.

    Raises:
        SpecError: the file is absent, too large, not UTF-8, not YAML, has a key twice, a tag or an alias, or is not a
            mapping.
    """
    try:
        text = _text_of(path)
        _check_events(path, text)
        loader = _Loader(text)
        # Composed for the line numbers: loaded values no longer know their lines.
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise SpecError(f"{path}:1: expected a mapping of keys, like `name: streaming`")
        lines: dict[tuple[Any, ...], int] = {(): 1}
        _walk(path, root, (), lines, set())
        return Document(path, loader.construct_document(root), lines)
    except FileNotFoundError:
        raise SpecError(f"{path}: no such pipeline file{_others(path)}") from None
    except OSError as error:  # a name that is too long, a file that is not for this user
        raise SpecError(f"{path}: cannot be read ({error.strerror}); expected a pipeline file") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: expected UTF-8 text, found byte {error.object[error.start]:#04x}") from None
    except yaml.YAMLError as error:
        raise not_yaml(path, error) from None


def refuse_invisible(document: Document) -> None:
    """Refuse characters that nobody sees, in any key or text of a document: it would not read as it is.

    Joiners pass, as some scripts and emoji are written with them.

    Raises:
        SpecError: naming file, line and character.
    """
    for place, text in _texts(document.value, ()):
        hidden = next((c for c in text if unicodedata.category(c) in _INVISIBLE and c not in _SEEN_BY_THEIR_WORK), None)
        if hidden is not None:
            raise SpecError(
                f"{document.at(place)}: found the invisible character U+{ord(hidden):04X} in {quoted(text)}; expected "
                "text that can be seen: remove it"
            )


def _texts(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield every key and text with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key), key
            yield from _texts(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*place, index))


def not_yaml(path: Path, error: yaml.YAMLError) -> SpecError:
    """Say in one line where a file is not YAML, and why."""
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    problem = getattr(error, "problem", None) or first_line(error)
    return SpecError(f"{path}:{line}: not valid YAML: {problem}")


def _others(path: Path) -> str:
    """Name what is meant instead of a file that is not there: the nearest name, or all that there are."""
    folder = path.parent if any(path.parent.glob("*.yaml")) else pipelines_folder()
    names = sorted(other.stem for other in folder.glob("*.yaml"))
    near = nearest(path.stem, names) or (f"; {folder} has {', '.join(names)}" if names else f"; {folder} has none")
    if folder != TOOL / "pipelines" or Path.cwd().is_relative_to(TOOL):
        return near
    here = f"{Path.cwd()} has no pipelines/"
    return f"{near}. These come with matinee, as {here}: go to your project, or name it in {VARIABLE}"


def _text_of(path: Path) -> str:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise SpecError(f"{path}: is a folder, expected a pipeline file")
    # A pipe would be waited for, and a device read without an end.
    if not stat.S_ISREG(status.st_mode):
        raise SpecError(f"{path}: is no regular file, expected a pipeline file")
    if status.st_size > LARGEST:
        raise SpecError(f"{path}: found {status.st_size:,} bytes, expected at most {LARGEST:,}")
    return path.read_text(encoding="utf-8")


def _check_events(path: Path, text: str) -> None:
    """Refuse what would be read in another way than it looks, or not at all, before it is composed.

    The parser's events come without recursion; composing follows the nesting in C, and would end the process.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if (tag := getattr(event, "tag", None)) is not None:
            raise SpecError(f"{path}:{line}: a tag ({tag}) is not read here; write the plain value")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise SpecError(f"{path}:{line}: nested more than {DEEPEST} levels deep")


def _walk(
    path: Path, node: yaml.Node, place: tuple[Any, ...], lines: dict[tuple[Any, ...], int], seen: set[int]
) -> None:
    # An alias is its anchor's node once more: its lines would be the anchor's, and a few can stand for gigabytes.
    if id(node) in seen:
        raise SpecError(f"{path}:{lines[place]}: an alias (*name) is not read here; write the value out")
    seen.add(id(node))
    if node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER:
        line = node.start_mark.line + 1
        raise SpecError(
            f"{path}:{line}: found a number of {len(node.value)} characters, expected at most {LONGEST_NUMBER}"
        )
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            # To YAML 1.1, `on` and `no` are booleans, and a year is a number.
            if key.tag != "tag:yaml.org,2002:str":
                raise SpecError(f"{path}:{line}: a key must be a plain word; found {_text(key)}")
            inner = (*place, key.value)
            if inner in lines:
                raise SpecError(
                    f"{path}:{line}: the key {quoted(key.value)} stands twice, first on line {lines[inner]}"
                )
            lines[inner] = line
            _walk(path, value, inner, lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*place, index)] = value.start_mark.line + 1
            _walk(path, value, (*place, index), lines, seen)


def _text(node: yaml.Node) -> str:
    return quoted(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
