"""The SQL of drawing a sample: one function for each statement in `sql/`, with its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

from tasks.examples.sampling.order import Order, Purpose
from tasks.spec.sample import Negatives
from tasks.spec.spec import Spec
from tasks.store.sql import literal, render

_sql = partial(render, Path(__file__).parent / "sql")


def strata(spec: Spec, cuts: Sequence[date]) -> str:
    """Query the groups there are to draw from, by stratum."""
    return _sql("strata", strata=spec.sample.strata, cuts=cuts)


def draw(spec: Spec, sizes: str, cuts: Sequence[date], purpose: Purpose = "sample") -> str:
    """Query the groups that are drawn, given a relation of strata with `available`, `size` and `bound`."""
    place = Order.of(spec.sample.seed, purpose).sql("lists.group_hash")
    return _sql("draw", strata=spec.sample.strata, sizes=sizes, cuts=cuts, place=place)


def pilot(spec: Spec) -> str:
    """Query the candidates of the groups in the relation `pilot`."""
    attributed = spec.label.attribution_minutes is not None
    return _sql("pilot", strata=spec.sample.strata, attributed=attributed)


def negatives(spec: Spec, chosen: Negatives, drawn: str, cuts: Sequence[date]) -> str:
    """Query the candidates of drawn groups that are trained on, with their correction.

    Negatives are in a random order, in which one that pulls n times as much comes n times as early (sequential Poisson
    sampling, Ohlsson 1998), or, the hard ones, at the best place that a retriever gives them in the list.
    """
    scores = [f"{part.identity}_score" for part in spec.retrieval] if chosen.by == "hard" else []
    places = ", ".join(f"place_{n}" for n in range(1, len(scores) + 1))
    salt, row = literal(f"{spec.sample.seed}:negatives:"), "group_id || cut || example_id"
    return _sql(
        "negatives",
        per_positive=int(chosen.per_positive),
        popular=chosen.by == "popularity",
        hard=chosen.by == "hard",
        pull="coalesce(feat_items.item_actions_28d, 0) + 1" if chosen.by == "popularity" else "1",
        place=f"least({places})" if scores else f"(md5_number_upper({salt} || {row}) + 0.5) / pull",
        scores=scores,
        drawn=drawn,
        cuts=cuts,
        attributed=spec.label.attribution_minutes is not None,
    )
