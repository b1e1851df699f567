"""What each step of two tiny pipelines says: which lines, in which order, and that their figures are the results'."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.checks.features import FeatureCheckResult
from tasks.checks.verdicts import CheckResult
from tasks.evaluation.results import EvaluateResult
from tasks.examples.candidates import CANDIDATES, RetrieveResult, made_folders
from tasks.examples.sample import SampleResult
from tasks.publishing.results import GateResult, PublishResult
from tasks.runs.step_log import fields_of
from tasks.runs.steps import CHECKS, WITH_RESULT
from tasks.sources.land import LandResult, land_step
from tasks.spec.project import TOOL
from tests.tiny_pipelines import Lines, Tiny, in_process

pytestmark = in_process
MOST_LINES = 25

# `#` is a number, a day or the name of a version; rows that were rejected, and what is noted, differ by pipeline.
SAID = {
    "land": ["INFO *, # to #: # partitions to land, # are landed as the source has them",
             "INFO # partitions read, # of them are new: *"],
    "check_landed": ["INFO *: # rows on #, # days before it; # checks by *"],
    "build": ["INFO to build: # partitions to load, feature days: # (# to #), label cuts: # (# to #)",
              "INFO # models and # tests ended well; the slowest: * # s, * # s, * # s"],
    "check_features": ["INFO feat_users: # rows as of #, # days before it; # checks",
                       "INFO feat_items: # rows as of #, # days before it; # checks",
                       "INFO feat_user_items: # rows as of #, # days before it; # checks",
                       "INFO feat_user_categories: # rows as of #, # days before it; # checks",
                       "WARNING events: # of # rows of # are kept out, in quarantine (# %): *",
                       "INFO noted: *"],
    "retrieve": ["INFO # cuts are needed, # are kept from earlier runs, # are to be made (# to #)",
                 "INFO als fitted as of # days (# to #) in # s; the last on # users, # items and # pairs with an "
                 "action",
                 "INFO # candidates of # cuts written"],
    "sample": ["INFO # groups of # cuts have something to learn; # are drawn over # strata of region (sqrt, at least # "
               "of each; # strata are taken whole)",
               "INFO train: # examples of # cuts", "INFO validation: # examples of # cuts",
               "INFO test: # examples of # cuts", "INFO refit: # examples of # cuts",
               "WARNING new strata, of which the windows to train on have no group, but the test window: *",
               "INFO features as of #, to serve: *"],
    "check_examples": ["INFO train: # checks of the examples", "INFO test: # checks of the examples",
                       "WARNING few lists to evaluate on: # of # have an example with a grade above 0, *",
                       "WARNING train, #: distinct of group_id is #, expected at least #"],
    "train": ["WARNING region *: # drawn groups are fewer than # (`populations.min_groups`); the model of everybody "
              "else ranks for it",
              "INFO without a validation window (`examples.validation`) it cannot be decided *",
              "INFO a model for each of # populations: BR, US, *",
              "INFO population *: # examples in # groups, # features; grades: # #, # #",
              "INFO trained twice on # examples in # groups, the same bytes, in # s",
              "INFO the model to evaluate: # rounds on # examples in # s",
              "INFO the model to publish: # rounds on # examples in # s"],
    "monitor": ["INFO # distributions of test (# to #, # rows, # groups) compared with train (# to #, # rows)",
                "INFO # are too few to tell drift from noise: *",
                "INFO # are still warming up, as their window is longer than the history: *"],
    "evaluate": ["WARNING no champion before #: gates against it pass",
                 "INFO # groups of # users in the test cuts # to #, # examples",
                 "WARNING the model is worse than * alone: ndcg@# by # [#, #]",
                 "INFO ndcg@10 with its 95 % interval: model # [#, #], popularity # [#, #], history # [#, #]*"],
    "check_predictions": ["WARNING no champion before #: the lists cannot be compared with its",
                          "INFO # test examples as lists, cut off at #",
                          "WARNING *, #: * is *, expected at *"],
    "gate": ["INFO passed: *"],
    "publish": ["INFO *: # files, # MB, # golden answers; it is loaded as a server would"],
    "report": ["INFO # sections, # kB; missing: nothing"],
}  # fmt: skip


@pytest.fixture(params=["shown", "bought"])
def tiny(request: pytest.FixtureRequest) -> Tiny:
    """Each of the pipelines, already run."""
    tiny: Tiny = request.getfixturevalue(request.param)
    return tiny


def by_step(records: list[logging.LogRecord]) -> dict[str, list[logging.LogRecord]]:
    """The records of each step without those of the clock, which a busy machine has more of."""
    kept = [record for record in records if " goes on: " not in record.getMessage()]
    return {step: list(found) for step, found in groupby(kept, key=lambda record: str(getattr(record, "step", "")))}


def pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\#", r"[-+]?\d[\d,.-]*").replace(r"\*", ".*"))


def line(record: logging.LogRecord) -> str:
    return f"{record.levelname} {record.getMessage()}"


def test_each_step_says_what_it_does_and_ends_with_what_came_of_it(tiny: Tiny) -> None:
    steps = by_step(tiny.lines)
    assert list(steps) == [*(step.name for step in WITH_RESULT), "report"]
    for step, (begins, *said, done) in steps.items():
        assert begins.getMessage() == f"{step} begins, {tiny.file.stem} as of {tiny.as_of}"
        assert re.match(rf"{step} done in [\d.]+ s, at most [\d,]+ MB: \S", done.getMessage())
        templates = [pattern(template) for template in SAID[step]]
        strange = [
            line(record) for record in said if not any(template.fullmatch(line(record)) for template in templates)
        ]
        assert strange == []
        assert len(said) + 2 <= MOST_LINES
        # In the order of the table: a line is said where it is done, and a step repeats lines only by its parts.
        firsts = [
            next(n for n, template in enumerate(templates) if template.fullmatch(line(record))) for record in said
        ]
        assert firsts == sorted(firsts) or step == "train"


def test_every_line_says_which_step_of_which_run_it_is_of(tiny: Tiny) -> None:
    run = tiny.prepared()
    of_run = {"pipeline": run.spec.name, "day": run.as_of.isoformat(), "run": "1"}
    for record in tiny.lines:
        assert {name: fields_of(record)[name] for name in of_run} == of_run
        assert "step" in fields_of(record)


def figures(tiny: Tiny, step: str, *names: str) -> Iterator[dict[str, Any]]:
    """The figures of the lines of a step that have some names."""
    for record in by_step(tiny.lines)[step]:
        fields = fields_of(record)
        if fields.keys() >= set(names):
            yield {name: fields[name] for name in names}


def test_the_figures_of_the_lines_are_those_of_the_results(tiny: Tiny) -> None:
    run = tiny.prepared()
    landed, sample = run.read("land", LandResult), run.read("sample", SampleResult)
    assert list(figures(tiny, "land", "new", "rows")) == [{"new": sum(landed.partitions.values()), "rows": landed.rows}]
    files = {entry["file"]: entry["rows"] for entry in figures(tiny, "sample", "file", "rows")}
    assert files == sample.rows
    assert [entry["rows"] for entry in figures(tiny, "sample", "rows") if isinstance(entry["rows"], dict)] == [
        sample.serving
    ]
    written = sum(
        pq.read_metadata(folder / CANDIDATES).num_rows
        for folder in made_folders(run).values()
        if (folder / CANDIDATES).exists()
    )
    assert [entry["rows"] for entry in figures(tiny, "retrieve", "rows")] == [written]
    made = run.read("retrieve", RetrieveResult)
    assert list(figures(tiny, "retrieve", "cuts", "missing")) == [{"cuts": made.cuts, "missing": made.made}]
    groups = run.read("evaluate", EvaluateResult).groups
    assert [entry["groups"] for entry in figures(tiny, "evaluate", "groups", "users")] == [groups]


@pytest.mark.parametrize("step", CHECKS)
def test_the_warnings_of_checks_are_in_the_log(step: Any, tiny: Tiny) -> None:
    kind = FeatureCheckResult if step.name == "check_features" else CheckResult
    if step.name == "check_predictions":
        from tasks.checks.predictions import PredictionCheckResult

        kind = PredictionCheckResult
    result = tiny.prepared().read(step.name, kind)
    records = by_step(tiny.lines)[step.name]
    warnings = [record.getMessage() for record in records if record.levelname == "WARNING"]
    expected = list(result.warnings)
    assert [text for text in warnings if " expected " in text] == expected
    passed = result.checked - result.failed_warning - result.failed_info
    assert f"{passed:,} of {result.checked:,} checks passed" in records[-1].getMessage()


def test_rejected_rows_are_a_warning_with_their_rules(shown: Tiny) -> None:
    result = shown.prepared().read("check_features", FeatureCheckResult)
    ((table, count),) = result.quarantine.items()
    (entry,) = figures(shown, "check_features", "table", "rejected")
    assert entry == {"table": table, "rejected": count}
    (warning,) = [record for record in by_step(shown.lines)["check_features"] if record.levelname == "WARNING"]
    assert re.search(r"exact_duplicate \d+ \(The same row stands in the day already", warning.getMessage())
    assert f"`matinee quarantine show shown --as-of {shown.as_of}` shows them" in warning.getMessage()


def test_small_populations_and_their_fallback_are_warnings(shown: Tiny) -> None:
    split = shown.prepared().spec.populations
    counts = shown.prepared().read("sample", SampleResult).populations
    assert split is not None
    small = {name: count for name, count in counts.items() if count < split.min_groups}
    said = {entry["population"]: entry["groups"] for entry in figures(shown, "train", "population", "groups", "least")}
    assert said == small
    assert small


def test_the_lists_and_the_verdicts_are_in_the_log(tiny: Tiny) -> None:
    run = tiny.prepared()
    gates = [record.getMessage() for record in by_step(tiny.lines)["gate"][1:-1]]
    assert gates == [f"passed: {verdict}" for verdict in run.read("gate", GateResult).gates]
    version = run.read("publish", PublishResult).version
    assert by_step(tiny.lines)["publish"][-1].getMessage().endswith(f": {version} is now champion")


def test_a_day_again_says_that_nothing_is_left_to_do(bought: Tiny, tmp_path: Path) -> None:
    with Lines() as records:
        bought.copied(tmp_path / "home").run(attempt="2")
    steps = by_step(records)
    texts = {step: [record.getMessage() for record in found] for step, found in steps.items()}
    assert texts["land"][1].endswith("0 partitions to land, 122 are landed as the source has them")
    assert texts["build"][1] == "nothing to build: the tables were built from what is landed, by this code"
    assert texts["build"][-1].endswith("everything was built already")
    assert re.match(r"4 cuts are needed, 4 are kept from earlier runs, 0 are to be made$", texts["retrieve"][1])
    assert texts["publish"][-1].endswith(", the same as in the registry already, is now champion")


def test_a_source_that_has_changed_is_a_warning(bought: Tiny, tmp_path: Path) -> None:
    data = shutil.copytree(str(bought.data), tmp_path / "shop")
    changed = replace(bought.copied(tmp_path / "home"), data=Path(data))
    file = Path(data) / "2011-03-04.csv"
    file.write_text("\n".join(file.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    with Lines() as records:
        land_step(changed.prepared())
    assert [line(record) for record in records if record.levelname == "WARNING"] == [
        "WARNING the source has changed days that were landed before (1): 2011-03-04"
    ]


@pytest.mark.parametrize("kind", ["json", "text"])
@pytest.mark.parametrize(
    ("command", "name", "within"),
    [
        (["publish", "{file}", "--as-of", "2011-03-05", "--attempt", "new"], "MatineeError", "publish"),
        (["publish", "{file}", "--as-of", "2020-01-01"], "SpecError", None),
    ],
)
def test_an_error_is_written_once(
    command: list[str], name: str, within: str | None, kind: str, bought: Tiny, tmp_path: Path
) -> None:
    """Within a step and before one; to people as text, and to a program as an object like the other lines."""
    done = subprocess.run(
        [sys.executable, "-m", "tasks.cli", *(word.format(file=bought.file) for word in command)],
        env=dict(os.environ) | {"MATINEE_LOG": kind, "MATINEE_HOME": str(tmp_path)},
        cwd=TOOL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (1, 2)
    if kind == "text":
        assert done.stderr.count(f"matinee: {name}\n") == 1
        assert " ERROR " not in done.stderr
        return
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    (error,) = [entry for entry in entries if entry["level"] == "error"]
    assert error["error"] == name
    assert error.get("step") == within
    assert "2011-03-05" in error["event"] or "2020-01-01" in error["event"]
