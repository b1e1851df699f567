"""The run report: one self-contained HTML page made from whatever a run has left on disk.

It needs no network and no script, is readable in light and dark and at phone width, and is written for failed
runs too: what is missing is said to be missing, and which step did not get that far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.evaluation import CHAMPION, MODEL
from tasks.checks.verdicts import SEVERITIES, Check, read_checks
from tasks.errors import MatineeError
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateVerdict, PublishResult, verdicts_if_valid
from tasks.reports import run_report_data as report_data
from tasks.reports import run_report_drift as report_drift
from tasks.reports import run_report_model as report_model
from tasks.reports.html import page
from tasks.runs.failures import last_words
from tasks.runs.outcome import ReportResult
from tasks.runs.steps import BESIDE, CHECKS, WITH_RESULT
from tasks.store.registry import Alias, alias
from tasks.store.run_files import optional

if TYPE_CHECKING:
    from tasks.runs.run import Run

CHECK_STEPS = tuple(step.name for step in CHECKS)
MOST_NAMED = 3
SECTIONS = {
    "landed": "landed rows",
    "checks": "checks",
    "refused": "refused rows",
    "labels": "labels",
    "drift": "drift",
    "sample": "sample",
    "metrics": "metrics",
    "gates": "gates",
    "alone": "features alone",
    "models": "models",
    "lineage": "lineage",
}
"""Parts of the page, in order: anchor and name."""
CONTENT = {"refused": "rejects", "sample": "strata"}
"""What a part is made of, where that has another name."""


def report_step(run: Run) -> ReportResult:
    """Write `report.html`; never fails because an earlier step did."""
    content = collect(run)
    verdict = content["verdict"]
    with run.write("report") as folder:
        (folder.path / "report.html").write_text(page("report", content), encoding="utf-8")
        result = ReportResult(report="report/report.html", verdict=verdict["text"], good=verdict["good"])
        folder.result = result
    return result


def collect(run: Run, *, finished: bool = True) -> dict[str, Any]:
    """Gather what the page shows; a part that is missing is None, and `why` says why.

    Args:
        run: the run.
        finished: whether the run is over; if not, a step without a result may yet have one.
    """
    steps = step_states(run, finished=finished)
    content = {
        "run": run,
        "steps": steps,
        "why": _why(steps),
        "verdict": verdict(run, steps),
        "served": live_version(run),
        "landed": report_data.landed(run),
        "checks": report_data.checks(run, steps_with_checks()),
        "rejects": report_data.rejects(run),
        "labels": report_data.label_mix(run),
        "strata": optional(run.step_dir("sample") / "strata.json"),
        "drift": report_drift.drift(run),
        "skew": report_drift.skew(run),
        "metrics": report_model.metrics(run),
        "alone": report_model.alone(run),
        "gates": verdicts_if_valid(run.dir),
        "models": report_model.models(run),
        "lineage": report_model.lineage(run),
    }
    there = {key for key in SECTIONS if content[CONTENT.get(key, key)] not in (None, [])} | {"landed"}
    shown = {key: name for key, name in SECTIONS.items() if key in there}
    absent = [name for key, name in SECTIONS.items() if key not in shown]
    return {**content, "tiles": tiles(content), "sections": shown, "absent": absent}


def steps_with_checks() -> tuple[str, ...]:
    """Return the names of the steps that may leave `checks.json`, in order."""
    return (*CHECK_STEPS, *sorted(BESIDE))


def step_states(run: Run, *, finished: bool = True) -> list[dict[str, Any]]:
    """Return each step with its state (done, failed, open, missing), what it said, and its files.

    The first step without a result is the one that failed, or, in a run that is not over and where it has said
    nothing, the one that is open; those behind it did not run.
    """
    found, stopped = [], False
    for name in (step.name for step in WITH_RESULT):
        folder = run.step_dir(name)
        said = last_words(run, name)
        done = _finished(folder, name) and said is None
        state = "done" if done else "missing" if stopped else "failed"
        stopped = stopped or (not done and name not in BESIDE)
        if state == "failed" and name in BESIDE:
            state = "missing"
        if state == "failed" and said is None and not folder.exists() and name == WITH_RESULT[0].name:
            state = "missing"
        if state == "failed" and said is None and not finished and not _closed(run, name):
            state = "open"
        found.append({"name": name, "state": state, "said": said, "files": _files(run, folder)})
    return found


def _finished(folder: Path, name: str) -> bool:
    if name == "train":
        return any(folder.glob("*/result.json"))
    result = optional(folder / "result.json")
    return result is not None and not (name == GATE_STEP and not result.get("passed", True))


def _closed(run: Run, name: str) -> bool:
    """Tell whether a step has judged, and its verdict is why it has no result."""
    return (name == "gate" and (run.step_dir(name) / "result.json").exists()) or bool(_failed_critically(run, name))


def _files(run: Run, folder: Path) -> list[dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    return [{"path": path.relative_to(run.dir).as_posix(), "bytes": path.stat().st_size} for path in paths]


def _stopped_at(steps: Sequence[Mapping[str, Any]]) -> str | None:
    return next((str(step["name"]) for step in steps if step["state"] == "failed"), None)


def _why(steps: Sequence[Mapping[str, Any]]) -> str:
    stopped = _stopped_at(steps)
    if stopped:
        return f"Missing: the step {stopped} has no result, so nothing behind it has run."
    first = next(
        (step["name"] for step in steps if step["state"] in ("open", "missing") and step["name"] not in BESIDE), None
    )
    return f"Missing: the step {first} has not run." if first else "Missing: this run did not make it."


def verdict(run: Run, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the run's verdict in a sentence: whether it is good, why not, what the step said, what to do next."""
    published = PublishResult.read_if_valid(run.step_dir(PUBLISH_STEP) / "result.json")
    stopped = _stopped_at(steps)
    if published:
        state = f"is now {published.alias}" if published.alias_moved else "was published; the alias stays where it is"
        text = f"{published.version} {state}"
        return _verdict(text, True, todo=_after_publishing(published))
    said = next((step["said"] for step in steps if step["name"] == stopped), None)
    if stopped == "gate":
        text = "Not published: a gate failed. The champion stays."
        return _verdict(text, False, _closed_gates(run), said, ["docs/runbooks/gate-does-not-hold.md"])
    if stopped in CHECK_STEPS:
        failed = _failed_critically(run, str(stopped))
        todo = list(dict.fromkeys(check.next for check in failed))[:MOST_NAMED]
        text = f"Stopped: {stopped} found critical faults in the data."
        return _verdict(text, False, _named(failed), said, [*todo, "docs/runbooks/check-failed.md"])
    if stopped:
        return _verdict(
            f"Not published: the step {stopped} has no result.", False, [], said, ["docs/runbooks/README.md"]
        )
    at = next((step["name"] for step in steps if step["state"] == "open"), None)
    return _verdict(f"Not finished: the step {at} has no result yet." if at else "Not finished.", False)


def _verdict(
    text: str, good: bool, why: Sequence[str] = (), said: str | None = None, todo: Sequence[str] = ()
) -> dict[str, Any]:
    return {"text": text, "good": good, "why": list(why), "said": said, "next": list(todo)}


def _after_publishing(published: PublishResult) -> list[str]:
    days = ", ".join(map(str, published.to_judge_again))
    return [f"evaluate again, because their champion has changed: {days}"] if days else []


def _closed_gates(run: Run) -> list[str]:
    return [str(verdict) for verdict in verdicts_if_valid(run.dir) or [] if not verdict.passed]


def _failed_critically(run: Run, step: str) -> list[Check]:
    return [check for check in read_checks(run.step_dir(step)) or () if check.failed_critical]


def _named(failed: Sequence[Check]) -> list[str]:
    words = [check.words() for check in failed[:MOST_NAMED]]
    return words + ([f"and {len(failed) - MOST_NAMED} more"] if len(failed) > MOST_NAMED else [])


def live_version(run: Run) -> Alias | None:
    """Return what the alias points at while the page is made."""
    try:
        return alias(run.home, run.spec.name, run.spec.publish.alias)
    except MatineeError:
        return None


def tiles(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the run in a few figures, each with its section: name, value, note, level (good, bad, warn or plain)."""
    found = [_landed_tile(content["landed"]), _checks_tile(content["checks"]), _refused_tile(content["rejects"])]
    found += [_drift_tile(content["drift"]), _metric_tile(content["metrics"]), _gates_tile(content["gates"])]
    return [tile for tile in found if tile is not None]


def _tile(to: str, name: str, value: str, note: str, level: str = "") -> dict[str, Any]:
    return {"to": to, "name": name, "value": value, "note": note, "level": level}


def _landed_tile(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    known = [table for table in tables if not table["problem"]]
    rows = sum(table["latest"] or 0 for table in known)
    usual = sum(table["usual"] or 0 for table in known)
    note = f"{rows / usual:.2f} × the days before" if usual else "rows of the day"
    return _tile("landed", "landed", f"{rows:,}", note, "" if rows else "bad") if known else None


def _checks_tile(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not lines:
        return None
    failed = {name: sum(line["counts"][name][0] for line in lines) for name in SEVERITIES}
    total = sum(count for line in lines for _, count in line["counts"].values())
    level = "bad" if failed["critical"] else "warn" if failed["warning"] else "good"
    words = [f"{count} {name}" for name, count in failed.items() if count]
    return _tile(
        "checks", "checks", f"{total - sum(failed.values())} of {total}", ", ".join(words) or "all hold", level
    )


def _refused_tile(rows: Sequence[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    share = report_data.refused_share(rows) if rows is not None else None
    return _tile("refused", "refused rows", f"{100 * share:.2g} %", "of the day") if share is not None else None


def _drift_tile(drift: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if drift is None or not drift["rows"]:
        return None
    count = len(drift["moved"])
    note = f"of {len(drift['rows'])} moved" + (f", {drift['filling']} filling" if drift["filling"] else "")
    return _tile("drift", "drift", str(count), note, "warn" if count else "good")


def _metric_tile(metrics: Sequence[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    values = {record.of: record.value for record in metrics[0]["overall"]} if metrics else {}
    value = values.pop(MODEL, None)
    baselines = {name: other for name, other in values.items() if other is not None and name != CHAMPION}
    if value is None or metrics is None:
        return None
    best = max(baselines, key=lambda name: baselines[name], default=None)
    note = f"{value - baselines[best]:+.4f} over {best}" if best else ""
    return _tile("metrics", metrics[0]["metric"], f"{value:.4f}", note)


def _gates_tile(verdicts: Sequence[GateVerdict] | None) -> dict[str, Any] | None:
    if not verdicts:
        return None
    passed, total = sum(verdict.passed for verdict in verdicts), len(verdicts)
    return _tile("gates", "gates", f"{passed} of {total}", "passed", "good" if passed == total else "bad")
