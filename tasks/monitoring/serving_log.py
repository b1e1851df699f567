"""The answers that the serving application has logged (`serving/feature_log.py`): one line of JSON each."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from engine.sealed import unsealed
from tasks.errors import MatineeError
from tasks.store.files import Home


class Answer(BaseModel):
    """An answer that was given: who got which items, by which version, and from which feature values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: datetime
    version: str
    as_of: date
    user_id: str
    population: str
    k: int = Field(ge=1)
    given: bool
    """Whether the request named its candidates."""
    context: dict[str, bool | float | str | tuple[str, ...]] = {}
    """What features read of the request's context; files of older versions have none."""
    items: tuple[str, ...]
    scores: tuple[float, ...]
    request_id: str | None = None
    propensities: tuple[float, ...] | None = None
    """Of each item at its place, given those above it; None where lists are not drawn."""
    features: dict[str, tuple[float | None, ...]]
    """A value for each item; None where it was missing."""

    @model_validator(mode="after")
    def _a_value_for_each_item(self) -> Answer:
        drawn = {} if self.propensities is None else {"propensities": self.propensities}
        for name, values in {"scores": self.scores, **drawn, **self.features}.items():
            if len(values) != len(self.items):
                raise ValueError(f"{name}: found {len(values)} values, expected {len(self.items)}, one for each item")
        return self


def served_dir(home: Home, pipeline: str, day: date) -> Path:
    """The folder of what was answered on a UTC day."""
    return home.served(pipeline) / f"ds={day.isoformat()}"


def served_files(home: Home, pipeline: str, day: date) -> list[Path]:
    """The complete files of a day; one that is being written has a hidden name."""
    folder = served_dir(home, pipeline, day)
    return sorted(path for path in folder.glob("*.jsonl") if not path.name.startswith("."))


def read_answers(files: list[Path]) -> list[Answer]:
    """Read the answers in files of the log, in order of time.

    Raises:
        MatineeError: a line is not one that the application writes; names it.
    """
    answers = []
    for path in files:
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                answers.append(Answer.model_validate(unsealed(json.loads(line))))
            except ValueError as error:
                raise MatineeError(
                    f"{path}:{number}: {_problem(error)}; expected a line as the serving application writes it. "
                    "Serving may be older or newer than these tasks; move the file away to leave it out"
                ) from None
    # Each process of the application writes files of its own, so their order says nothing of time.
    return sorted(answers, key=lambda answer: (answer.at, answer.user_id))


def _problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return f"line: {error}"
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}"
