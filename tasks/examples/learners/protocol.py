"""What a retrieval model is to the rest of a run: how it is fitted, what its file holds, and which node serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from tasks.examples.arrays import texts
from tasks.examples.retrieval_models import Past
from tasks.spec.parts import Part

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Arrays = dict[str, Any]
"""What a model's file holds, by the names that its class in `engine/retrieval.py` reads."""


@dataclass(frozen=True, eq=False)
class AsOf:
    """What is known as of a cut.

    Attributes:
        past: actions of the past year, weighted where the pipeline declares kinds.
        items: the items with their features, by id.
        unit: what two different sums of weights differ by at least; None: nothing is weighted.
        segments: by attribute of users that a retrieval asks for: (user_id, segment) of those who have a value.
    """

    past: Past
    items: pa.Table
    unit: float | None = None
    segments: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def item_ids(self) -> npt.NDArray[np.str_]:
        """Ids of the items, in their order."""
        return texts(self.items["item_id"])


@dataclass(frozen=True)
class RetrievalModel:
    """A type of retrieval.

    Attributes:
        settings: its part of the pipeline file, whose `type` is its name there.
        node: type of the node that serves it, as `engine/node_schema.py` and `engine/loader.py` have it.
        arrays: makes what its file holds as of a cut, from its settings and from what `fit` returned; None of a blend,
            which has no file.
        fit: fits what is kept between refit days, to the actions known by such a day; None if there is nothing.
        processor_dependent: tells from its settings whether its bits depend on the processor.
        variant: tells from its settings which other node serves it, if one does.
        variants: all that it may tell.
    """

    settings: type[Part]
    node: str
    arrays: Callable[[Any, AsOf, Any], Arrays] | None = None
    fit: Callable[[Past, Any], Any] | None = None
    processor_dependent: Callable[[Any], bool] = lambda _: False
    variant: Callable[[Any], str | None] = lambda _: None
    variants: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Name in the pipeline file."""
        return str(get_args(self.settings.model_fields["type"].annotation)[0])
