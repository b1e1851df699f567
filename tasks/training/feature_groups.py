"""The features of a pipeline by where they come from: what can be left out of a model together."""

from __future__ import annotations

from tasks.spec.feature_catalog import MartFeature
from tasks.spec.resolved_features import RetrievalRank, RetrievalScore
from tasks.spec.spec import Spec

ATTRIBUTES = "attributes"
RETRIEVAL = "retrieval"


def feature_groups(spec: Spec) -> dict[str, tuple[str, ...]]:
    """Group the features of a pipeline, each group in the order of the pipeline file.

    A mart's features by its entity (`user`, `item`, `user_item`, `user_category`), those of `attributes`, those of
    `retrieval` all together and, where there are several, of each retriever (`retrieval:als`). One that holds all
    features is none: nothing would be left.
    """
    groups: dict[str, list[str]] = {}
    for feature in spec.resolved_features:
        names = [ATTRIBUTES]
        if isinstance(feature, MartFeature):
            names = [str(feature.entity)]
        elif isinstance(feature, RetrievalScore | RetrievalRank):
            names = [RETRIEVAL, f"{RETRIEVAL}:{feature.retrieval.identity}"]
        for name in names:
            groups.setdefault(name, []).append(feature.name)
    alone = [name for name in groups if name.startswith(f"{RETRIEVAL}:")]
    if len(alone) == 1:
        del groups[alone[0]]
    # The larger before its parts, whichever feature comes first in the file.
    order = sorted(groups, key=lambda name: (name.startswith(RETRIEVAL), ":" in name))
    return {name: tuple(groups[name]) for name in order if len(groups[name]) < len(spec.features)}
