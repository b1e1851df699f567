"""The part of a pipeline file that says how a model of ONNX comes about: a file, or a command that trains it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictStr

from tasks.errors import quoted
from tasks.spec.parts import Part
from tasks.spec.ranker_parts import Problem, SeededRanker
from tasks.spec.values import Minutes, Number, Whole

LEARNERS = "learners"
"""Folder of the project in which files and commands of models lie."""


def _inside(path: str) -> str:
    plain = PurePosixPath(path)
    if not path or str(plain) != path or plain.is_absolute() or ".." in plain.parts or "\\" in path or path == ".":
        raise ValueError(f"found {quoted(path)}, expected a path below the project's `{LEARNERS}/`, such as neural")
    return path


def _word(word: str) -> str:
    # What a command reads and writes is named in its job; other places are not its business.
    if word.startswith("/") or ".." in PurePosixPath(word).parts or "\0" in word or not word:
        raise ValueError(f"found {quoted(word)}, expected a word without a path that leads out of the folder `code`")
    return word


def _program(command: tuple[str, ...]) -> tuple[str, ...]:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", command[0]) is None:
        raise ValueError(f"found {quoted(command[0])}, expected the name of a program first, such as python")
    return command


LearnerPath = Annotated[str, AfterValidator(_inside)]
_Setting = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Command = Annotated[
    tuple[Annotated[StrictStr, Field(max_length=400), AfterValidator(_word)], ...],
    Field(min_length=1, max_length=40),
    AfterValidator(_program),
]


class TrainedByCommand(Part):
    """How a program of the project trains a model, or an encoder of users."""

    command: Command = Field(
        description="Program and arguments, without a shell; the path of the job is added. `python` is matinee's own "
        "unless `MATINEE_COMMAND_PATH` has another."
    )
    code: LearnerPath = Field(
        description=f"Folder below the project's `{LEARNERS}/` in which it runs; a version is named by its files."
    )
    settings: dict[
        Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")], StrictBool | Whole | Number | StrictStr
    ] = Field(default={}, description="Handed to the command.")
    timeout: Minutes = Field(default=60, description="Time that a training may take.")


class TrainedElsewhere(Part):
    """A model that is there already."""

    path: LearnerPath = Field(description=f"File of ONNX below the project's `{LEARNERS}/`.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(description="Digest of the file.")
    until: date = Field(
        description="Last day whose data it was trained on; a run whose test window begins earlier refuses it."
    )


class OnnxRanker(SeededRanker):
    """A model of any library, as a file of ONNX (docs/onnx.md): trained elsewhere, or by a program of the project."""

    type: Literal["onnx"]
    file: TrainedElsewhere | None = Field(
        default=None, exclude_if=lambda file: file is None, description="A model that was trained elsewhere."
    )
    train: TrainedByCommand | None = Field(
        default=None, exclude_if=lambda train: train is None, description="A program that trains it in each run."
    )

    @property
    def summary(self) -> str:
        """What it is in two words or three, for people."""
        return f"ONNX, {self.train.code if self.train else self.file.path if self.file else 'no model'}"

    @property
    def effort(self) -> str:
        """How much training it asks for, for people."""
        return self.summary + self._per_seed

    def problems(self) -> Iterator[Problem]:
        """Yield the settings that do not go together with others of the same ranker."""
        if (self.file is None) == (self.train is None):
            found = "neither" if self.file is None else "both"
            yield (), f"found {found} of `file` and `train`; expected one of them"
        if self.file is not None and self.seeds > 1:
            yield ("seeds",), f"found {self.seeds}, but the model is there already; expected none, or `train`"
