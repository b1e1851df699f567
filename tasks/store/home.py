"""The state folder as a reader finds it: it is there, or the reader is told."""

from __future__ import annotations

import os

from tasks.errors import MatineeError
from tasks.store.files import Home, default_home


def existing_home() -> Home:
    """Locate the state folder for somebody who only reads it.

    Raises:
        MatineeError: there is none. Nothing wrong in a folder that is not there would look like good news.
    """
    home = default_home()
    if not home.root.is_dir():
        variable = next((name for name in ("MATINEE_HOME", "MATINEE_PROJECT") if os.environ.get(name)), None)
        named = (
            f"{variable} names it: correct the variable"
            if variable
            else "It is `var` in the folder you are in, unless MATINEE_HOME names another one: go to the project"
        )
        raise MatineeError(
            f"{home.root}: no such state folder. {named}, or run a day first: `matinee run <pipeline> --as-of …`"
        )
    return home
