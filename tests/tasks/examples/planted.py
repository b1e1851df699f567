"""A past with a structure that retrieval models must find: two groups of users, each with a taste of its own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.examples.learners.protocol import AsOf
from tasks.examples.retrieval_models import Past

USERS = [f"{group}{n:02}" for group in "pq" for n in range(30)]
"""Users of the group `p` act on items `p…`, those of `q` on `q…`; each on one of the others' as well."""
ITEMS = [f"{group}{n:02}" for group in "pq" for n in range(15)]


def past_rows(seed: int = 7) -> list[tuple[str, str, int, float]]:
    """Rows (user, item, age, actions) of three active days of each user, sorted as `Past` wants them."""
    random = np.random.default_rng(seed)
    rows = {}
    for user in USERS:
        own = [item for item in ITEMS if item[0] == user[0]]
        other = [item for item in ITEMS if item[0] != user[0]]
        chosen = random.permutation(own)[:7].tolist() + random.permutation(other)[:1].tolist()
        for item in chosen:
            rows[user, item, int(random.choice([40, 20, 2]))] = float(random.integers(1, 4))
    return [(*key, rows[key]) for key in sorted(rows)]


def planted(*, weights: float = 1.0) -> AsOf:
    """What is known as of a cut; actions are multiplied by `weights`."""
    rows = past_rows()
    names = ("user_id", "item_id", "age", "actions")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    table = pa.table({**columns, "actions": pa.array([weights * value for value in columns["actions"]], pa.float64())})
    recent = [sum(row[3] for row in rows if row[1] == item and row[2] < 28) for item in ITEMS]
    users = [len({row[0] for row in rows if row[1] == item}) for item in ITEMS]
    items = {
        "item_id": pa.array(ITEMS),
        "item_actions_28d": pa.array(recent, pa.float32()),
        "item_users_365d": pa.array(users, pa.float32()),
    }
    segments = {"taste": pa.table({"user_id": USERS, "segment": [user[0] for user in USERS]})}
    return AsOf(Past.of(table), pa.table(items), segments=segments)
