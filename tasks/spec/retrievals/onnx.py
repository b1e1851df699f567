"""Two towers that a program of the project trains."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.spec.onnx_ranker import TrainedByCommand
from tasks.spec.retrievals.base import RetrievalPart
from tasks.spec.values import NonNegativeInt, PositiveInt, SomeDays, Whole


class OnnxRetrieval(RetrievalPart):
    """Two towers (docs/onnx.md): a program of the project trains a model of a user's last items, and items' vectors.

    Users' vectors are computed when they are asked for, of what they did up to the cut. Its bytes depend on the
    processor.
    """

    type: Literal["onnx"]
    train: TrainedByCommand = Field(description="What trains it, anew on each refit day that a run needs.")
    last: Annotated[Whole, Field(ge=1, le=200)] = Field(default=20, description="Items of a user that it looks at.")
    refit: SomeDays = Field(default=28, description="It is trained anew on this calendar.")
    seed: NonNegativeInt = Field(default=0, description="Seed that the program gets.")
    k: PositiveInt = Field(description="Items retrieved for each user.")
