"""A small pipeline that tests change where they need to."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pyarrow as pa

from tasks.examples.sample import SampleResult
from tasks.runs.run import Run
from tasks.spec.feature_catalog import MARTS, FeatureCatalog, MartFeature
from tasks.spec.spec import Spec
from tasks.store.files import write_json
from tasks.store.timeline import TimelineEvent

IMPRESSIONS: dict[str, Any] = {
    "name": "tiny",
    "description": "A pipeline for tests.",
    "start": "2026-01-01",
    "source": {"type": "simulated", "users": 10, "items": 20, "seed": 1},
    "label": {"horizon": "1d", "lateness": "2d", "grades": [{"grade": 1, "when": "kind = 'play'"}]},
    "examples": {"kind": "impressions", "train": "5d", "validation": "2d", "test": "2d"},
    "features": ["item_actions_28d", "user_tenure_days"],
    "sample": {"groups": 100},
    "retrieval": [{"type": "popularity", "k": 5}, {"type": "history", "k": 5}],
    "ranker": {"type": "lightgbm", "rounds": 10, "min_data_in_leaf": 1},
    "evaluate": {"metrics": ["ndcg@10", "mrr"]},
    "gates": [{"metric": "ndcg@10", "beats": "popularity"}],
}
CONTENT = "0" * 64
RETAIL: dict[str, Any] = {"schedule": None, "source": {"type": "files", "dataset": "online_retail"}}
"""What a pipeline of the shop's files has in place of the simulated source."""
SNAPSHOTS: dict[str, Any] = {"kind": "snapshots", "every": "10d", "train": "20d", "test": "10d"}


def day(text: str) -> date:
    """A day of 2026, written `MM-DD`."""
    return date.fromisoformat(f"2026-{text}")


def document(**changes: Any) -> dict[str, Any]:
    """The pipeline as read from YAML; a change replaces a key, or is merged into it if both are mappings."""
    made = copy.deepcopy(IMPRESSIONS)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(made.get(key), dict) and value.keys() <= made[key].keys():
            made[key].update(value)
        else:
            made[key] = value
    return made


def bought_within(horizon: str) -> dict[str, Any]:
    """The label of the shop: bought in the days after the cut."""
    return {"horizon": horizon, "lateness": "0d", "grades": [{"grade": 1, "when": "kind = 'purchase'"}]}


def spec_of(**changes: Any) -> Spec:
    """The pipeline as a spec."""
    return Spec.model_validate(document(**changes))


def finish_step(run: Run, step: str, result: dict[str, Any]) -> None:
    """Leave what a finished step leaves, beside the files that are there."""
    run.made_by.write(run.step_dir(step) / "made_by.json")
    write_json(run.step_dir(step) / "result.json", result)


def published(version: str, as_of: date, alias: str = "champion", content: str = CONTENT, **more: Any) -> TimelineEvent:
    """What the timeline is told of a version."""
    return TimelineEvent(version=version, as_of=as_of, alias=alias, content=content, **more)


def sample_of(populations: dict[str, int]) -> SampleResult:
    """What a sample step recorded that drew so many groups of each population."""
    return SampleResult(strata=(), rows={}, populations=populations, serving={}, positives={})


def small_catalog() -> FeatureCatalog:
    """Two features and an attribute, so that error texts that list them stay short and stay the same."""
    features = [
        MartFeature("item_actions_28d", "feat_items", "item", 0.0, "Actions on the item in 28 days."),
        MartFeature("user_tenure_days", "feat_users", "user", -1.0, "Days since the user joined."),
    ]
    none: dict[str, tuple[str, ...]] = dict.fromkeys(MARTS, ())
    attributes = none | {"feat_users": ("region", "tenure_band"), "feat_items": ("category",)}
    return FeatureCatalog({feature.name: feature for feature in features}, attributes)


def group(name: str, user: str, grades: list[int], **columns: list[Any]) -> list[dict[str, Any]]:
    """The examples of one group: item `i<n>` at position n + 1, unseen; other columns hold one value an item."""
    return [
        {
            "example_id": f"{name}/{n}",
            "group_id": name,
            "user_id": user,
            "item_id": f"i{n}",
            "cut": day("02-01"),
            "grade": grade,
            "position": n + 1,
            "weight": 1.0,
            "seen": False,
            **{column: values[n] for column, values in columns.items()},
        }
        for n, grade in enumerate(grades)
    ]


def examples(*groups: list[dict[str, Any]]) -> pa.Table:
    """A table of examples with the types that the sample step writes."""
    rows = [row for rows in groups for row in rows]
    types = {"grade": pa.int8(), "position": pa.int32(), "cut": pa.date32()}
    return pa.table(
        {
            name: pa.array(
                [row[name] for row in rows],
                types.get(name, pa.float32() if isinstance(rows[0][name], float) and name != "weight" else None),
            )
            for name in rows[0]
        }
    )
