"""JSON objects that carry their own checksum: a flipped bit is still JSON, of another number or name.

A flip cannot take the checksum away: it would leave a key that no reader knows. So an object without one is not
damaged, only written by hand or by an older version, and is read as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHECKSUM = "checksum"


def checksum(value: Mapping[str, Any]) -> str:
    """Return the sha256, in hex, of an object's compact JSON with sorted keys, without its checksum."""
    plain = {key: entry for key, entry in value.items() if key != CHECKSUM}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of plain JSON values with its checksum."""
    return {**value, CHECKSUM: checksum(value)}


def unsealed(value: Any) -> Any:
    """Return parsed JSON without the checksum that it carries, if it is an object with one.

    Raises:
        ValueError: the object is not the one that was written.
    """
    if not isinstance(value, dict) or CHECKSUM not in value:
        return value
    found, expected = checksum(value), value[CHECKSUM]
    if found != expected:
        raise ValueError(f"found the checksum {found[:12]}…, expected {str(expected)[:12]}…: changed since written")
    return {key: entry for key, entry in value.items() if key != CHECKSUM}
