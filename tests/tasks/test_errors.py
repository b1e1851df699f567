"""The tree drawn at the top of the module is the tree of the classes."""

from __future__ import annotations

import inspect
import re

from tasks import errors


def test_the_drawing_holds_every_error_and_no_other() -> None:
    drawn = re.findall(r"^(?:[├└]── )?([A-Z]\w+) {2,}", inspect.getdoc(errors) or "", re.MULTILINE)
    classes = [name for name, kind in vars(errors).items() if inspect.isclass(kind)]

    assert drawn == classes
    assert all(issubclass(getattr(errors, name), errors.MatineeError) for name in drawn)


def test_a_librarys_error_is_shortened_to_its_first_line_with_text() -> None:
    assert errors.first_line(ValueError("\n  Binder Error: no column\nLINE 1: select")) == "Binder Error: no column"
    assert errors.first_line(TimeoutError()) == "TimeoutError"


def test_a_value_is_quoted_as_yaml_writes_it() -> None:
    assert errors.quoted(None) == "null"
    assert errors.quoted([None, True, "None", 1.5]) == "[null, true, 'None', 1.5]"
    assert errors.quoted(False) == "false"
    assert errors.quoted("a" * 200) == f"'{'a' * 119}… (202 characters)"
