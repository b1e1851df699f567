"""What every type of retrieval has."""

from __future__ import annotations

from pydantic import Field

from tasks.spec.parts import Part
from tasks.spec.values import RetrieverName


class RetrievalPart(Part):
    """What every type of retrieval has."""

    type: str  # narrowed by each type
    # Left out where it is absent: a retrieval without a name stays, byte for byte, what it was before there were any.
    name: RetrieverName | None = Field(
        default=None,
        exclude_if=lambda name: name is None,
        description="What its features, its file and its figures are called; the type if absent. Several of one type "
        "need names.",
    )

    @property
    def identity(self) -> str:
        """What tells it apart from the others of a pipeline."""
        return self.name or self.type

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files among those of a cut, and of a version's retrieval."""
        return (f"{self.identity}.npz",)

    @property
    def attribute(self) -> str | None:
        """The attribute of users that it reads as of cuts, if any."""
        return None
