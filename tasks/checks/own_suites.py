"""What a project adds to a suite of matinee's: measures and expectations, and others instead of those on the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.checks.suite_parts import parameter_in


def extended(suite: Any, addition: Any) -> Any:
    """Add one suite, as its JSON says it, to another.

    An expectation takes the place of those of its type on its column, so that a bound can be another one; fixed bounds
    of fixed ones, those of trailing days of such. What is no suite is returned as it is, and refused by its reader.

    Args:
        suite: what is added to; None: nothing.
        addition: what is added.
    """
    if not (_has_shape(suite) and _has_shape(addition)):
        return addition
    replaced = {_subject(expectation) for expectation in addition["expectations"]}
    kept = [expectation for expectation in suite["expectations"] if _subject(expectation) not in replaced]
    return {**_merged(suite, addition), "expectations": [*kept, *addition["expectations"]]}


def _has_shape(suite: Any) -> bool:
    return isinstance(suite, dict) and isinstance(suite.get("expectations"), list)


def _subject(expectation: Any) -> tuple[str, str, bool]:
    if not isinstance(expectation, dict) or not isinstance(expectation.get("kwargs"), dict):
        return "", "", False
    arguments = expectation["kwargs"]
    looks_back = any(parameter_in(value) for value in arguments.values())
    return str(expectation.get("type")), str(arguments.get("column")), looks_back


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key in one.keys() & other.keys() if isinstance(one[key], dict) and isinstance(other[key], dict)}
    return {**one, **other, **{key: _merged(one[key], other[key]) for key in both}}
