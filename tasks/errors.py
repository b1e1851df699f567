"""Everything that can go wrong, drawn as a tree.

MatineeError            any failure matinee explains in plain words
├── WrongArgument       an argument of a command is none that it takes
├── SpecError           a pipeline file is wrong (shape or reference)
├── SourceError         input data is missing or unreadable
├── LandingError        a landed partition is missing, torn or changed
├── BuildError          dbt failed, or nothing was selected
├── FilesChanged        a file that a run is made from was changed while it was under way
├── CheckFailed         a critical data check failed, or could not run
├── TrainingError       a model cannot be trained on this sample
├── GateFailed          the model is not good enough to publish
├── RegistryError       a version or alias is missing, torn or was moved by somebody else
├── DamagedFile         a file is not what was written any more: a flipped bit, or a hand
└── StackError          Airflow's components could not be started or asked
"""

from __future__ import annotations

import unicodedata

# Marks that turn around the order in which a terminal shows text, so that it reads as another one.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LONGEST_QUOTE = 120


# None of these takes more than its message: with other arguments an error does not survive the way
# back from a worker process, and ends the pool that was waiting for it.
class MatineeError(Exception):
    """A failure explained in plain words: what, where, found, expected, and what to do next."""

    logged = False
    """Whether its message stands in the log already."""


class WrongArgument(MatineeError):  # noqa: N818 - says what it is
    """An argument of a command is none that it takes."""


class SpecError(MatineeError):
    """A pipeline file is wrong."""


class SourceError(MatineeError):
    """Input data is missing or unreadable."""


class LandingError(MatineeError):
    """A landed partition is missing, torn, or no longer what its manifest says."""


class BuildError(MatineeError):
    """The SQL build failed, or selected nothing."""


class FilesChanged(MatineeError):  # noqa: N818 - says what happened
    """The SQL, the pipeline file or the code is not what earlier steps of the run were made from."""


class CheckFailed(MatineeError):  # noqa: N818 - says what happened
    """A critical data check failed or could not run."""


class TrainingError(MatineeError):
    """No model can be trained on this sample."""


class GateFailed(MatineeError):  # noqa: N818 - says what happened
    """The model is not good enough to publish."""


class RegistryError(MatineeError):
    """A version or an alias is missing, torn, or was moved by somebody else."""


class DamagedFile(MatineeError):  # noqa: N818 - says what it is
    """A file of a finished step, or a record, is not what was written."""


class StackError(MatineeError):
    """Airflow's components could not be started or asked."""


def count_of(number: int, what: str) -> str:
    """Count things in words, the last of which gets an s unless there is exactly one of them."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def first_line(error: BaseException) -> str:
    """Shorten a library's error to its first line with text, or to its type where it says nothing."""
    # Some errors have no text at all: `str(TimeoutError())` is empty.
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def visible(text: str) -> str:
    """Escape what a terminal would act on instead of showing it, and what it can't show; line breaks and tabs stay.

    The escapes are those of Python's `repr`, such as `\\x1b` for an escape character.
    """
    # The short way out is the usual one: all of these are unprintable to Python.
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    # Cc: control characters. Cs: halves of a character, which no encoding has: Python makes them of bytes that are no
    # text. Zl and Zp end a line in some programs and not in others.
    hidden = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _REORDERING
    if character in "\n\t" or not hidden:
        return character
    return repr(character)[1:-1]


def _written(value: object) -> str:
    """Write a value as `repr` does, but for what the YAML and JSON that people write call otherwise."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value)


def quoted(value: object, longest: int = LONGEST_QUOTE) -> str:
    """Quote a value that was found, as `repr` does, but only its beginning where it is long."""
    text = _written(value)
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"
