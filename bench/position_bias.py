"""How much of what position bias costs do corrections recover? `python -m bench.position_bias`.

Two worlds whose truth is known. The simulated service with a strong position bias (`bench._biased_pages`): rankers
learn from logged pages, corrected or not, and from as many pages in random order; lists are measured by true relevance.
LightGBM's own ranking example with simulated clicks (`bench._lightgbm_example`): measured by its grades.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench._biased_pages import Service, spec_of, true_value
from bench._lightgbm_example import METRIC, clicked, example_spec, examples, read, value
from bench._results import show, table

PLAIN: dict[str, Any] = {}
AWARE: dict[str, Any] = {"position_bias": {"type": "position_aware"}}
LOGGED: dict[str, Any] = {"position_bias": {"type": "ips", "propensities": "logged"}}
RANDOMIZED: dict[str, Any] = {"position_bias": {"type": "ips", "propensities": "randomized", "policy": "uniform"}}
EM: dict[str, Any] = {"position_bias": {"type": "ips", "propensities": "regression_em"}}
CONTENDERS = {
    "not corrected": PLAIN,
    "position-aware": AWARE,
    "IPS, logged": LOGGED,
    "IPS, randomized slots": RANDOMIZED,
    "IPS, regression-EM": EM,
}
RANDOM = "on random pages"
UNIFORM_PAGES = 0.05
FIRST_DRAW = 10
"""Seed of the clicks in LightGBM's own test; others follow."""
Values = dict[tuple[str, str], list[float]]


def simulated(seed: int, lists: int, users: int, items: int) -> dict[tuple[str, str], float]:
    """Measure every contender, by objective, in the world of a seed."""
    service = Service.of(users, items, seed)
    logged = service.pages(lists, UNIFORM_PAGES, np.random.default_rng([seed, 2]))
    shuffled = service.pages(lists, 1.0, np.random.default_rng([seed, 3]))
    judged = service.judged(np.random.default_rng([seed, 4]))
    found = {}
    for objective in ("lambdarank", "binary"):
        for name, changes in CONTENDERS.items():
            if changes is not AWARE or objective == "lambdarank":
                found[name, objective] = true_value(spec_of(objective=objective, **changes), logged, judged)
        found[RANDOM, objective] = true_value(spec_of(objective=objective), shuffled, judged)
    return found


def simulated_rows(values: Mapping[tuple[str, str], Sequence[float]]) -> list[tuple[str, ...]]:
    """Lay out mean and standard deviation over the seeds, and the share of the gap that is recovered."""
    rows = []
    for name in (*CONTENDERS, RANDOM):
        cells = []
        for objective in ("lambdarank", "binary"):
            if (name, objective) not in values:
                cells += ["", ""]
                continue
            own = np.array(values[name, objective])
            low, high = np.mean(values["not corrected", objective]), np.mean(values[RANDOM, objective])
            cells += [f"{own.mean():.4f} ± {own.std(ddof=1):.4f}", f"{100 * (own.mean() - low) / (high - low):.0f} %"]
        rows.append((name, *cells))
    return rows


def example_rows(folder: Path, draws: int) -> list[tuple[str, ...]]:
    """Train on draws of clicks, and measure by the grades of the test lists."""
    train, test = read(folder, "train"), read(folder, "test")
    rows, leads = [], []
    for draw in range(FIRST_DRAW, FIRST_DRAW + draws):
        clicks, positions = clicked(*train, random.Random(draw))
        given = examples(train[0], clicks, positions, train[2])
        plain, aware = (value(example_spec(**changes), given, test) for changes in (PLAIN, AWARE))
        leads.append(aware - plain)
        rows.append((str(draw), f"{plain:.4f}", f"{aware:.4f}", f"{aware - plain:+.4f}"))
    deviation = np.std(leads, ddof=1)
    return [*rows, ("mean ± sd", "", "", f"{np.mean(leads):+.4f} ± {deviation:.4f}")]


def page(values: Mapping[tuple[str, str], Sequence[float]], lists: int, example: Sequence[tuple[str, ...]]) -> str:
    """Lay out the page."""
    seeds = len(next(iter(values.values())))
    header = ("learned from", "lambdarank", "of the gap", "binary", "of the gap")
    parts = [
        "# Position bias: what corrections recover",
        "",
        f"True-relevance NDCG@10 of rankers that learned from {lists:,} pages with a play of the simulated service, "
        "whose members look at position p with the probability 1/p; mean ± standard deviation over "
        f"{seeds} worlds. The gap is between the one not corrected and one of as many pages in random order. "
        "Made by `python -m bench.position_bias --write`.",
        "",
        table(header, simulated_rows(values)),
    ]
    if example:
        parts += [
            "",
            f"{METRIC} on LightGBM's ranking example, learned from simulated clicks, measured by grades; each row is "
            "another draw of the clicks.",
            "",
            table(("draw", "lambdarank", "position-aware", "lead"), example),
        ]
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="of the worlds")
    parser.add_argument("--lists", type=int, default=4000, help="pages with a play to learn from")
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--items", type=int, default=120)
    parser.add_argument("--example", type=Path, help="folder of LightGBM's example `lambdarank`; left out if absent")
    parser.add_argument("--draws", type=int, default=8, help="of the clicks of the example")
    parser.add_argument("--write", action="store_true", help="keep the page in bench/results/")
    given = parser.parse_args(arguments)
    values: Values = {}
    for seed in given.seeds:
        for key, measured in simulated(seed, given.lists, given.users, given.items).items():
            values.setdefault(key, []).append(measured)
            print(seed, *key, f"{measured:.4f}", flush=True)
    example = [] if given.example is None else example_rows(given.example, given.draws)
    show("position_bias", page(values, given.lists, example), write=given.write)


if __name__ == "__main__":
    main()
