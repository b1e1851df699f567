"""What a project adds to a suite of matinee's: measures and expectations, and others instead of those on the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def extended(suite: Any, addition: Any) -> Any:
    """Add one suite, as its JSON says it, to another.

    An expectation takes the place of those of its type on its column, so that a bound can be another one. What is no
    suite is returned as it is, and refused by whoever reads it.

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


def _subject(expectation: Any) -> tuple[str, str]:
    if not isinstance(expectation, dict) or not isinstance(expectation.get("kwargs"), dict):
        return "", ""
    return str(expectation.get("type")), str(expectation["kwargs"].get("column"))


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    both = {key for key in one.keys() & other.keys() if isinstance(one[key], dict) and isinstance(other[key], dict)}
    return {**one, **other, **{key: _merged(one[key], other[key]) for key in both}}
