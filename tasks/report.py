"""The run report: one self-contained HTML page made from whatever a run has left on disk.

It needs no network and no script, is readable in light and dark and at phone width, and is written for failed
runs too: what is missing is said to be missing, and which step did not get that far.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import MatineeError
from tasks.failures import last_words
from tasks.home import read_json
from tasks.judge import is_rate, shown, title
from tasks.partitions import read_manifests
from tasks.plots import bars, intervals, line, powers

if TYPE_CHECKING:
    from tasks.run import Run

STEPS = (
    "land",
    "check_landed",
    "build",
    "check_features",
    "retrieve",
    "sample",
    "check_examples",
    "train",
    "monitor",
    "evaluate",
    "gate",
    "publish",
)
BESIDE = ("monitor",)
"""Steps nothing waits for: their absence stops nothing."""
CHECK_STEPS = ("check_landed", "check_features", "check_examples")
SEVERITIES = ("critical", "warning", "info")
DAYS_SHOWN = 45
TOP_FEATURES = 20
LEAST_NAMED = 3


def report_step(run: Run) -> dict[str, Any]:
    """Write `report.html`; never fails because an earlier step did."""
    page = collect(run)
    result = {"report": "report/report.html", "verdict": page["verdict"]["text"], "good": page["verdict"]["good"]}
    with run.step("report", result) as folder:
        (folder / "report.html").write_text(render(page), encoding="utf-8")
    return result


def render(page: Mapping[str, Any]) -> str:
    """Return the page as HTML; everything that comes from data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": shown, "figure": figure, "percent": percent, "size": size}
    return environment.get_template("report.html.j2").render(page)


def collect(run: Run) -> dict[str, Any]:
    """Gather what the page shows; a part that is missing is None, and `why` says why."""
    steps = step_states(run)
    return {
        "run": run,
        "steps": steps,
        "why": _why(steps),
        "verdict": verdict(run, steps),
        "published": _optional(run.step_dir("publish") / "result.json"),
        "landed": landed(run),
        "checks": checks(run),
        "rejects": (_optional(run.step_dir("check_features") / "result.json") or {}).get("rejects"),
        "strata": _optional(run.step_dir("sample") / "strata.json"),
        "monitor": monitor(run),
        "metrics": metrics(run),
        "alone": alone(run),
        "gates": _optional(run.step_dir("gate") / "gates.json"),
        "models": models(run),
    }


def _optional(path: Path) -> Any:
    try:
        return read_json(path) if path.exists() else None
    except MatineeError:
        return None


def step_states(run: Run) -> list[dict[str, Any]]:
    """Return each step with its state (done, failed, missing), what it said, and its files.

    The first step without a result is the one that failed; those behind it did not run.
    """
    found, stopped = [], False
    for name in STEPS:
        folder = run.step_dir(name)
        said = last_words(run, name)
        done = _finished(folder, name) and said is None
        state = "done" if done else "missing" if stopped else "failed"
        stopped = stopped or (not done and name not in BESIDE)
        if state == "failed" and name in BESIDE:
            state = "missing"
        if state == "failed" and said is None and not folder.exists() and name == STEPS[0]:
            state = "missing"
        found.append({"name": name, "state": state, "said": said, "files": _files(run, folder)})
    return found


def _finished(folder: Path, name: str) -> bool:
    if name == "train":
        return any(folder.glob("*/result.json"))
    result = _optional(folder / "result.json")
    return result is not None and not (name == "gate" and not result.get("passed", True))


def _files(run: Run, folder: Path) -> list[dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [{"path": path.relative_to(run.dir).as_posix(), "bytes": path.stat().st_size} for path in paths]


def _stopped_at(steps: Sequence[Mapping[str, Any]]) -> str | None:
    return next((str(step["name"]) for step in steps if step["state"] == "failed"), None)


def _why(steps: Sequence[Mapping[str, Any]]) -> str:
    stopped = _stopped_at(steps)
    if stopped:
        return f"Missing: the step {stopped} has no result, so nothing behind it has run."
    first = next((step["name"] for step in steps if step["state"] == "missing" and step["name"] not in BESIDE), None)
    return f"Missing: the step {first} has not run." if first else "Missing: this run did not make it."


def verdict(run: Run, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the run's verdict in a sentence, whether it is a good one, and the failed step's own words."""
    published = _optional(run.step_dir("publish") / "result.json")
    stopped = _stopped_at(steps)
    said = next((step["said"] for step in steps if step["name"] == stopped), None)
    if published:
        moved = published.get("alias_moved", True)
        alias = f"is now {run.spec.publish.alias}" if moved else "was published; the alias stays where it is"
        return {"text": f"{published['version']} {alias}", "good": True, "said": None}
    if stopped == "gate":
        return {"text": "Not published: a gate does not hold. The champion stays.", "good": False, "said": said}
    if stopped in CHECK_STEPS:
        return {"text": f"Stopped: {stopped} found critical faults in the data.", "good": False, "said": said}
    if stopped:
        return {"text": f"Not published: the step {stopped} has no result.", "good": False, "said": said}
    return {"text": "Not finished.", "good": False, "said": None}


def landed(run: Run) -> list[dict[str, Any]]:
    """Return a bar chart of rows by day for each landed table."""
    folder = run.home.landing(run.spec.source_name)
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    first = run.as_of - timedelta(days=DAYS_SHOWN - 1)
    tables: list[dict[str, Any]] = []
    for name in names:
        if name.startswith("."):
            continue
        try:
            parts = read_manifests(run.home, run.spec.source_name, [name], first, run.as_of)
        except MatineeError as error:
            tables.append({"table": name, "problem": str(error), "plot": None, "latest": None})
            continue
        rows = [(part.ds.isoformat(), part.rows) for part in parts]
        if rows:
            latest = rows[-1][1] if rows[-1][0] == run.as_of.isoformat() else None
            tables.append({"table": name, "problem": None, "plot": bars(rows), "latest": latest})
    return tables


def checks(run: Run) -> list[dict[str, Any]]:
    """Return the checks of each line of defence that ran, failed ones first."""
    found = []
    for step in CHECK_STEPS:
        records = _optional(run.step_dir(step) / "checks.json")
        if records is None:
            continue
        rows = [
            {
                **record,
                "title": title(record["column"]),
                "observed": shown(record["observed"], rate=is_rate(record["column"])),
            }
            for record in records
        ]
        rows.sort(key=lambda row: (row["success"], SEVERITIES.index(row["severity"])))
        counts = {
            severity: (
                sum(row["severity"] == severity and not row["success"] for row in rows),
                sum(row["severity"] == severity for row in rows),
            )
            for severity in SEVERITIES
        }
        found.append(
            {
                "step": step,
                "counts": counts,
                "failed": [row for row in rows if not row["success"]],
                "passed": [row for row in rows if row["success"]],
            }
        )
    return found


def metrics(run: Run) -> list[dict[str, Any]] | None:
    """Return, for each metric, everybody's records as an interval plot, and the records of populations and slices."""
    records = _optional(run.step_dir("evaluate") / "records.json")
    if records is None:
        return None
    found = []
    for name in dict.fromkeys(record["metric"] for record in records):
        own = [record for record in records if record["metric"] == name]
        overall = [r for r in own if r["population"] == "*" and r["slice"] is None]
        overall.sort(key=lambda r: r["of"] != "model")
        found.append(
            {
                "metric": name,
                "definition": own[0].get("definition", ""),
                "overall": overall,
                "plot": intervals(overall),
                "parts": _pivot(record for record in own if record not in overall),
            }
        )
    return found


def _pivot(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Turn records into a row for each population and slice, with the value of everybody who was measured."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        piece = record["slice"]
        name = ", ".join(f"{k} {v}" for k, v in piece.items()) if isinstance(piece, dict) else str(piece or "all")
        row = rows.setdefault((str(record["population"]), name), {"groups": record["groups"], "of": {}})
        row["of"][record["of"]] = record["value"]
    return [{"population": population, "slice": name, **row} for (population, name), row in rows.items()]


def alone(run: Run) -> dict[str, Any] | None:
    """Return the power of each feature alone beside the best baseline, the model and a perfect order."""
    found, records = (_optional(run.step_dir("evaluate") / name) for name in ("suspicion.json", "records.json"))
    if found is None or records is None:
        return None
    whole = (found["metric"], "model", "*", None)
    model = next((r["value"] for r in records if (r["metric"], r["of"], r["population"], r["slice"]) == whole), None)
    marks = {"baseline": found["reference"]["value"], "model": model}
    shown = max(TOP_FEATURES // 2, sum(row["suspicious"] for row in found["features"]))
    return {**found, "model": model, **powers(found["features"], marks, found["perfect"] or 1.0), "shown": shown}


def models(run: Run) -> list[dict[str, Any]]:
    """Return each population's model: what it learned from, its settings, its features by gain."""
    found = []
    for path in sorted(run.step_dir("train").glob("*/result.json")):
        result = _optional(path) or {}
        gains = sorted(result.get("importance", {}).items(), key=lambda pair: (-pair[1], pair[0]))
        total = sum(gain for _, gain in gains) or 1.0
        found.append(
            {
                "population": result.get("population", path.parent.name),
                "examples": result.get("examples"),
                "groups": result.get("groups"),
                "settings": result.get("settings") or {},
                "importance": [(name, gain / total) for name, gain in gains[:TOP_FEATURES]],
                "unused": [name for name, gain in gains if gain == 0],
            }
        )
    return found


def monitor(run: Run) -> dict[str, Any] | None:
    """Return drift by feature, and the label rate by cut as a line."""
    found = _optional(run.step_dir("monitor") / "drift.json")
    if found is None:
        return None
    rates = found.get("label_rate", [])
    records = [*(found[key] for key in ("scores", "label") if found.get(key)), *found["features"]]
    named = [record for record in records if record["level"] not in ("stable", "filling")]
    return {
        "problem": found.get("problem"),
        "reference": (found.get("reference") or {}).get("kind"),
        "features": named or found["features"][:LEAST_NAMED],
        "stable": sum(record["level"] == "stable" for record in records),
        "filling": sum(record["level"] == "filling" for record in records),
        "label_rate": line([(f"{r['cut']} ({r['part']})", r["rate"]) for r in rates]) if rates else None,
    }


def figure(value: float | None) -> str:
    """Return a metric for people."""
    return "–" if value is None else f"{value:.4f}"


def percent(share: float | None) -> str:
    """Return a share for people, in whole percent."""
    return "–" if share is None else f"{round(100 * share)} %"


def size(count: int) -> str:
    """Return bytes for people."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:,.0f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"
