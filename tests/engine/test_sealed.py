"""Objects with a checksum: no flipped bit of their text is another value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sealed import CHECKSUM, checksum, sealed, unsealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text().filter(lambda key: key != CHECKSUM), VALUES, max_size=4))
def test_what_was_sealed_comes_back(value: dict[str, Any]) -> None:
    assert unsealed(json.loads(json.dumps(sealed(value)))) == value
    assert checksum(sealed(value)) == checksum(value)


@pytest.mark.parametrize("indent", [None, 1])
def test_no_flipped_bit_is_another_value(indent: int | None) -> None:
    value = {"day": "2026-01-10", "rows": 31, "rate": 1.5e-7, "of": [{"name": "é"}, None, True], "": {}}
    text = json.dumps(sealed(value), indent=indent, ensure_ascii=False).encode()
    same = 0
    for place in range(len(text)):
        for bit in range(8):
            flipped = bytearray(text)
            flipped[place] ^= 1 << bit
            try:
                read = unsealed(json.loads(bytes(flipped)))
            except ValueError:
                continue
            if len(read) > len(value):
                continue  # the checksum under another name: a key that no record has
            assert read == value, bytes(flipped)
            same += 1
    assert same == 1  # 1.5e-7 and 1.5E-7


def test_what_has_no_checksum_is_read_as_it_is() -> None:
    for value in ({"rows": 3}, [1, 2], "text", None):
        assert unsealed(value) == value


def test_another_value_says_what_was_found_and_expected() -> None:
    value = sealed({"rows": 3})
    with pytest.raises(ValueError, match=rf"found the checksum \w{{12}}…, expected {value[CHECKSUM][:12]}…: changed"):
        unsealed(value | {"rows": 2})
