"""Pydantic's errors about the shape of a pipeline file, in plain words: file, line, key, what to write instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

from tasks.errors import quoted
from tasks.spec.yaml_lines import Document, nearest

_EXPECTED = {
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
    "date_type": "a day, like 2026-02-28",
    "date_parsing": "a day, like 2026-02-28",
    "date_from_datetime_parsing": "a day, like 2026-02-28",
    "date_from_datetime_inexact": "a day, like 2026-02-28",
    "too_short": "at least one item",
}


def misplaced(place: Sequence[str], message: str) -> PydanticCustomError:
    """Make the error of a validator that reads several keys; `place` is the one to correct."""
    return PydanticCustomError("place", "{message}", {"place": tuple(place), "message": message})


def explain(document: Document, root: type[BaseModel], problems: Sequence[ErrorDetails]) -> str:
    """Write a line for each problem: file, line, key, what was found, what was expected, the nearest name."""
    lines = [_explain(document, root, problem) for problem in problems if not _follows(problem)]
    return "\n".join(dict.fromkeys(lines))


def _follows(problem: ErrorDetails) -> bool:
    # Pydantic drops wrong items before it counts, so it calls the list too short as well.
    return problem["type"] == "too_short" and bool(problem["input"])


def _explain(document: Document, root: type[BaseModel], problem: ErrorDetails) -> str:
    context = problem.get("ctx", {})
    location = context.get("place", problem["loc"])
    kind, found = problem["type"], problem["input"]
    # Pydantic puts `[key]` at the end when a dict's key is wrong rather than its value.
    if location[-1:] == ("[key]",):
        place, names = location[:-2], _names(context)
        said = _unknown("key", str(found), names) if names else f"the key: {_found_and_expected(problem)}"
        return f"{document.at(location)}: {_dotted(document, place)}: {said}"
    if kind == "extra_forbidden":
        names = sorted(_keys(root, location[:-1]))
        return f"{document.at(location)}: " + _unknown("key", str(location[-1]), names)
    if kind == "missing":
        return f"{document.at(location[:-1])}: the key {_dotted(document, location[:-1], location[-1])!r} is missing"
    if kind == "union_tag_not_found":
        return f"{document.at(location)}: the key {_dotted(document, location, _tag(context))!r} is missing"
    if kind == "union_tag_invalid":
        place = (*location, _tag(context))
        return f"{document.at(place)}: {_dotted(document, place)}: " + _unknown(
            _tag(context), str(context["tag"]), _names(context)
        )
    return f"{document.at(location)}: {_dotted(document, location)}: {_found_and_expected(problem)}"


def _found_and_expected(problem: ErrorDetails) -> str:
    kind, found, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind in {"value_error", "place"}:
        return problem["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        names = _names(context)
        return f"found {quoted(found)}, expected one of {', '.join(names)}{nearest(str(found), names)}"
    if kind == "string_pattern_mismatch":
        return f"found {quoted(found)}, expected the form {context['pattern']}"
    if kind == "too_long":
        return f"found {len(found):,} items, expected at most {context['max_length']:,}"
    expected = _EXPECTED.get(kind, re.sub("^(Input|String|Value) should ", "", problem["msg"]))
    # Not the mapping itself, which may be most of the file.
    shown = "keys with values" if isinstance(found, dict) else quoted(found)
    return f"found {shown}, expected {expected.removeprefix('be ')}"


def _unknown(what: str, found: str, names: Sequence[str]) -> str:
    return f"unknown {what} {quoted(found)}; expected one of {', '.join(names)}{nearest(found, names)}"


def _names(context: dict[str, Any]) -> list[str]:
    # Pydantic gives the names only as a sentence: "'a', 'b' or 'c'".
    return re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags", ""))))


def _tag(context: dict[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def _dotted(document: Document, location: Sequence[Any], *more: Any) -> str:
    """Spell a key as it stands in the file: without the tags of unions, which are no keys."""
    return ".".join(str(part) for part in (*document.known(location), *more))


def _keys(root: type[BaseModel], location: Sequence[Any]) -> set[str]:
    """Names of the keys allowed at a place, found by walking the models along the error's location."""
    models = [root]
    for part in location:
        nested = [inner for model in models for inner in _models_of(model, part)]
        models = nested or models
    # As it is written in a file: `from` is no name in Python.
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def _models_of(model: type[BaseModel], part: Any) -> list[type[BaseModel]]:
    if part in model.model_fields:
        return _unwrap(model.model_fields[part].annotation)
    # A field of one possible value, such as `type`, is the tag; without one, it is the model's name (`_gate_tag`).
    tags = [get_args(field.annotation) for field in model.model_fields.values()]
    return [model] if part == model.__name__ or (part,) in tags else []


def _unwrap(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _unwrap(inner)]
