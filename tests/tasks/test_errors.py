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
