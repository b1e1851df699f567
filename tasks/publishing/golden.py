"""The golden requests of a version: whose answers every load of it must give again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.examples.feature_sql import served_items_column
from tasks.examples.sample import read_categories
from tasks.spec.attributes import Attribute
from tasks.spec.resolved_features import CategoryFeature, MatchFeature, NumberFeature
from tasks.spec.spec import Spec
from tasks.store.files import digest

if TYPE_CHECKING:
    from engine.descriptor import ContextValue, Request
    from tasks.runs.run import Run

GOLDEN_USERS = 8
GOLDEN_LENGTH = 10
UNSEEN = "a value that nobody has seen"


def requested(spec: Spec) -> list[Attribute]:
    """List the attributes of the request that features read."""
    features = (f for f in spec.resolved_features if isinstance(f, NumberFeature | CategoryFeature | MatchFeature))
    read = [feature.attribute.source for feature in features if feature.attribute.entity == "request"]
    return list(dict.fromkeys(read))  # a number and its bands are read from one key


def golden_contexts(run: Run) -> list[dict[str, ContextValue]]:
    """Choose contexts of requests: with texts that the version knows, and with texts that nobody has seen."""
    attributes, texts = requested(run.spec), read_categories(run)
    if not attributes:
        return []
    known: dict[str, list[ContextValue]] = {"number": [1.0, 0.0], "boolean": [True, False]}
    ends: dict[str, list[ContextValue]] = {
        a.name: [texts[a.feature][0], texts[a.feature][-1]] for a in attributes if texts.get(a.feature)
    }
    ends |= {a.name: [_values_of_items(run, a.matches), ()] for a in attributes if a.matches}
    values = {a.name: ends.get(a.name) or known.get(a.type) or [UNSEEN] for a in attributes}
    new: dict[str, ContextValue] = {"text": UNSEEN, "list": (UNSEEN,)}
    unseen: dict[str, ContextValue] = {a.name: new.get(a.type, values[a.name][0]) for a in attributes}
    return [*({name: choice[end] for name, choice in values.items()} for end in (0, -1)), unseen]


def _values_of_items(run: Run, name: str) -> tuple[str, ...]:
    """The first and the last of the values that lists of the served items have."""
    import pyarrow.parquet as pq

    column = served_items_column(name)
    lists = pq.read_table(run.file("sample", "serving/item.parquet"), columns=[column])[column].to_pylist()
    texts = sorted({text for some in lists for text in some or () if text is not None})
    return (*texts[:1], *texts[1:][-1:])


def golden_requests(folder: Path, contexts: Sequence[dict[str, ContextValue]] = ()) -> list[Request]:
    """Choose requests of known users, of one with candidates, in contexts, and of somebody unknown."""
    import pyarrow.parquet as pq

    from engine.descriptor import Request

    # By digest: an arbitrary choice, yet the same in whatever order the rows are.
    known = sorted(
        pq.read_table(folder / "features" / "user.parquet", columns=["user_id"])["user_id"].to_pylist(), key=digest
    )
    items = pq.read_table(folder / "catalogue.parquet", columns=["item_id"])["item_id"].to_pylist()
    # More than are asked for, so that the answer shows what is cut off as well.
    some = tuple(sorted(items, key=digest)[: 2 * GOLDEN_LENGTH])
    requests = [Request(user_id=user, k=GOLDEN_LENGTH) for user in known[:GOLDEN_USERS]]
    requests += [Request(user_id=user, k=GOLDEN_LENGTH, candidates=some) for user in known[:1]]
    requests += [Request(user_id=user, k=GOLDEN_LENGTH, context=context) for user in known[:1] for context in contexts]
    return [*requests, Request(user_id="nobody-knows-me", k=GOLDEN_LENGTH)]
