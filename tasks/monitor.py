"""Monitor: has the world moved away from what the model learned?

Compares the features of the judged examples with those of the training window by the population stability index,
PSI = Σ (q - p) ln(q / p) over bins that are the training window's deciles (Siddiqi 2006), and follows the label
rate by day. Both sides are weighted back to the population, so that the sample's strata do not look like drift.
With n and m lists on the two sides, two samples of the same world give about (bins - 1)(1/n + 1/m) by chance
alone: a feature is only called moved where its PSI is well above that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import MatineeError
from tasks.home import write_json
from tasks.profile import identifier, literal, parquet
from tasks.warehouse import memory

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.run import Run

BINS = 10
MOVED, DRIFTED = 0.10, 0.25
"""Bounds in common use (Siddiqi 2006): below the first nothing happened, above the second look before trusting."""
BEYOND_CHANCE = 3.0
REFERENCE = "train"
CURRENT = ("test", "validation")


def monitor_step(run: Run) -> dict[str, Any]:
    """Write `psi.json`; what cannot be compared is said in it, and never fails the run."""
    sample = run.step_dir("sample")
    try:
        found = compare(sample, run.spec.features)
    except MatineeError as error:
        found = {"problem": str(error), "features": [], "label_rate": []}
    levels = [feature["level"] for feature in found["features"]]
    result = {
        "compared": len(levels),
        "moved": [f["feature"] for f in found["features"] if f["level"] == "moved"],
        "drifted": [f["feature"] for f in found["features"] if f["level"] == "drifted"],
        "problem": found.get("problem"),
    }
    with run.step("monitor", result) as folder:
        write_json(folder / "psi.json", found)
    return result


def compare(sample: Path, features: Sequence[str]) -> dict[str, Any]:
    """Compare the examples of a sample's folder.

    Args:
        sample: folder with `train.parquet` and `test.parquet` (or `validation.parquet`).
        features: names of the feature columns.

    Raises:
        MatineeError: there is nothing to compare, or the files cannot be read; says which.
    """
    import duckdb

    parts = {name: sample / f"{name}.parquet" for name in (REFERENCE, "validation", "test")}
    files = {name: path for name, path in parts.items() if path.exists()}
    try:
        with memory() as connection:
            rates = _label_rates(connection, files)
            filled = {rate["part"] for rate in rates}
            current = next((name for name in CURRENT if name in filled), None)
            if REFERENCE not in filled or current is None:
                raise MatineeError(
                    f"{sample}: expected examples to train and to judge on, found them for "
                    f"{', '.join(sorted(filled)) or 'nothing'}; nothing to compare"
                )
            scored = _psi(connection, files[REFERENCE], files[current], features)
    except duckdb.Error as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise MatineeError(f"{sample}: the examples cannot be compared ({reason})") from None
    return {"reference": REFERENCE, "current": current, "features": scored, "label_rate": rates}


def _label_rates(connection: DuckDBPyConnection, files: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Share of positive examples of each cut, weighted back to the population."""
    if not files:
        return []
    scans = [
        f"select {literal(name)} as part, cut, group_id, grade, weight from {parquet([path])}"
        for name, path in files.items()
    ]
    rows = connection.execute(
        f"""
        select cut, part, count(*), count(distinct group_id),
               sum(weight) filter (where grade > 0) / sum(weight)
        from ({" union all ".join(scans)}) group by cut, part order by cut, part
        """
    ).fetchall()
    return [
        {"cut": cut.isoformat(), "part": part, "rows": count, "groups": groups, "rate": rate or 0.0}
        for cut, part, count, groups, rate in rows
    ]


def _psi(
    connection: DuckDBPyConnection, reference: Path, current: Path, features: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the PSI of each feature, greatest first: one scan for the edges of the bins, one for the counts."""
    if not features:
        return []
    edges = _edges(connection, reference, features)
    cumulative = [
        f"coalesce(sum(weight) filter (where {identifier(name)} <= {edge!r}), 0)"
        for name in features
        for edge in edges[name]
    ]
    both = " union all ".join(
        f"select {side} as side, group_id, weight::double as weight, "
        f"{', '.join(identifier(name) for name in features)} from {parquet([path])}"
        for side, path in enumerate((reference, current))
    )
    columns = ", ".join(["sum(weight)", "count(distinct group_id)", *cumulative])
    sides = connection.execute(f"select {columns} from ({both}) group by side order by side").fetchall()
    (_, lists, *_), (_, other_lists, *_) = sides
    scored, place = [], 2
    for name in features:
        count = len(edges[name])
        shares = [_shares(side[place : place + count], float(side[0]), int(side[1])) for side in sides]
        place += count
        psi = sum((q - p) * math.log(q / p) for p, q in zip(*shares, strict=True))
        chance = count * (1 / lists + 1 / other_lists)
        scored.append({"feature": name, "psi": psi, "by_chance": chance, "level": level(psi, chance)})
    return sorted(scored, key=lambda row: (-float(str(row["psi"])), str(row["feature"])))


def _edges(connection: DuckDBPyConnection, path: Path, features: Sequence[str]) -> dict[str, list[float]]:
    """Distinct inner deciles of the training window; a feature with few values has fewer bins."""
    steps = [n / BINS for n in range(1, BINS)]
    columns = ", ".join(f"quantile_disc({identifier(name)}, {steps})" for name in features)
    tops = ", ".join(f"max({identifier(name)})" for name in features)
    (row,) = connection.execute(f"select {columns}, {tops} from {parquet([path])}").fetchall()
    deciles, maxima = row[: len(features)], row[len(features) :]
    return {
        name: sorted({float(edge) for edge in found if edge < top}) or [float(top)]
        for name, found, top in zip(features, deciles, maxima, strict=True)
    }


def _shares(cumulative: Sequence[float], total: float, lists: int) -> list[float]:
    """Return the share of each bin, smoothed by half a list, so that an empty bin is no infinity."""
    below = [0.0, *(float(value) / total for value in cumulative), 1.0]
    bins = [high - low for low, high in itertools.pairwise(below)]
    pseudo = 0.5 / lists
    return [(share + pseudo) / (1 + pseudo * len(bins)) for share in bins]


def level(psi: float, chance: float) -> str:
    """Return `stable`, `moved` or `drifted`; what sampling explains is stable."""
    if psi < max(MOVED, BEYOND_CHANCE * chance):
        return "stable"
    return "drifted" if psi >= max(DRIFTED, BEYOND_CHANCE * chance) else "moved"
