"""The variables that a project keeps in its file `.env`: addresses and passwords, which pipeline files only name."""

from __future__ import annotations

import re
from pathlib import Path

from dotenv.parser import parse_stream

from tasks.errors import MatineeError, quoted

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# These say which code runs, in this process' children; a folder that somebody got must not.
_OF_CODE = re.compile(r"(PYTHON|LD_|DYLD_).*|PATH|MATINEE_BIN|MATINEE_COMMAND_PATH")


def read_env_file(path: Path) -> dict[str, str]:
    """Read lines like `NAME=value`; values may be quoted, and nothing is put into them.

    Raises:
        MatineeError: a line is none of these, or sets what decides which code runs. Names the line and no value, as
            values are secrets.
    """
    variables: dict[str, str] = {}
    # Not by trying: a named pipe is opened when somebody else opens it, which may be never.
    if path.exists() and not path.is_file():
        raise MatineeError(f"{path}: is no regular file; expected one with lines like NAME=value")
    try:
        with path.open(encoding="utf-8") as stream:
            lines = list(parse_stream(stream))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise MatineeError(f"{path}: cannot be read ({type(error).__name__}); expected lines like NAME=value") from None
    for line in lines:
        if line.key is None and not line.error:
            continue  # a remark, or nothing
        text = line.original.string
        place = f"{path}:{line.original.line + text[: len(text) - len(text.lstrip())].count(chr(10))}"
        # No variable can have a NUL in it.
        whole = line.value is not None and "\0" not in line.value
        if line.error or line.key is None or line.value is None or not (whole and _NAME.fullmatch(line.key)):
            raise MatineeError(f"{place}: expected a line like NAME=value, a remark after #, or an empty line")
        if _OF_CODE.fullmatch(line.key):
            raise MatineeError(
                f"{place}: found {quoted(line.key)}, which decides what code runs; set it where matinee is started"
            )
        variables[line.key] = line.value
    return variables
