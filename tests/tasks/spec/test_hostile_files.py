"""Files that once ended in a traceback, a crash or a wait: each is refused in words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.runs.run import Run
from tasks.spec.load import load_spec
from tasks.spec.project import TOOL
from tasks.spec.yaml_lines import DEEPEST, LARGEST

GOOD = (TOOL / "pipelines" / "streaming.yaml").read_text(encoding="utf-8")
WHEN = "kind = 'play' and value >= 0.9"


def changed(old: str, new: str) -> str:
    assert old in GOOD, old
    return GOOD.replace(old, new, 1)


HOSTILE = {
    "5,000 digits": (changed("seed: 7}", "seed: " + "9" * 5000 + "}"), "found a number of 5000 characters"),
    "4,000 digits": (changed("seed: 7}", "seed: " + "9" * 4000 + "}"), "found a number of 4000 characters"),
    "100,000 hex digits": (
        changed("seed: 7}", "seed: 0x" + "f" * 100_000 + "}"),
        "found a number of 100002 characters",
    ),
    "tag int": (changed("seed: 7}", "seed: !!int abc}"), r"a tag \(tag:yaml.org,2002:int\) is not read here"),
    "tag float": (changed("seed: 7}", "seed: !!float abc}"), r"a tag \(.*float\)"),
    "tag bool": (changed("seed: 7}", "seed: !!bool maybe}"), r"a tag \(.*bool\)"),
    "tag set": (changed("name: streaming", "name: !!set {a, b}"), r"a tag \(.*set\)"),
    "deep lists": (GOOD + "\nx: " + "[" * 1000 + "]" * 1000, f"nested more than {DEEPEST} levels deep"),
    "very deep lists": (GOOD + "\nx: " + "[" * 100_000 + "]" * 100_000, f"nested more than {DEEPEST} levels"),
    "deep mappings": (GOOD + "\nx: " + "{a: " * 3000 + "1" + "}" * 3000, f"nested more than {DEEPEST} levels"),
    "10 MB": (changed("description: Orders", "description: " + "A" * 10_000_000), f"expected at most {LARGEST:,}"),
    "a huge number": (changed("rounds: 80", "rounds: 100000000000000000000"), "rounds: found 1000"),
    "year 1": (changed("start: 2026-01-01", "start: 0001-01-01"), "expected a day from 1970-01-01 to 2199-12-31"),
    "year 9999": (changed("start: 2026-01-01", "start: 9999-12-31"), "expected a day from 1970-01-01 to 2199-12-31"),
    "a day that is a number": (changed("start: 2026-01-01", "start: 0"), "start: found 0, expected a day"),
    "a time of day": (changed("start: 2026-01-01", "start: 2026-01-01T23:59:59-11:00"), "expected a day"),
    "31 February": (changed('schedule: "@daily"', 'schedule: "0 0 31 2 *"'), "which never comes"),
    "an hour 25": (changed('schedule: "@daily"', 'schedule: "0 25 * * *"'), "the hour '25' lies outside 0 to 23"),
    "a step of 400 days": (
        changed('schedule: "@daily"', 'schedule: "0 0 */400 * *"'),
        r"schedule: found .*: the day of the month '\*/400' steps by 400, expected 1 to 31",
    ),
    "digits of another script": (
        changed("catch_up: 7d", "catch_up: ١٢d"),
        r"catch_up: found '١٢d', expected a number of days with its unit, like 28d",
    ),
    "a day in digits of another script": (
        changed("start: 2026-01-01", "start: ٢٠٢٦-٠١-٠١"),
        "start: found '٢٠٢٦-٠١-٠١', expected a day from 1970-01-01",
    ),
    "a name of a link with brackets": (
        GOOD + '\nlinks: {"[/b]": "https://x.example"}',
        r"streaming\.yaml:\d+: links: the key: found '\[/b\]', expected 1 to 40 characters",
    ),
    "a link that is none": (
        GOOD + '\nlinks: {wiki: "javascript:alert(1)"}',
        r"links\.wiki: found 'javascript:alert\(1\)', expected the form",
    ),
    "a setting that is not tuned": (
        GOOD + "\ntune: {trials: 2, metric: ndcg@10, space: {num_leafs: [7]}}",
        r"tune\.space\.num_leafs: unknown setting of lightgbm 'num_leafs'; expected one of .*did you mean 'num_leaves'",
    ),
    "a long value": (
        GOOD + f"\ntune: {{trials: 2, metric: ndcg@10, choose: {'A' * 100_000}, space: {{num_leaves: [7]}}}}",
        r"tune\.choose: found 'A{100,120}… \(100,002 characters\), expected one of",
    ),
    "a long key": (GOOD + "\n" + "K" * 900 + ": 1", r"unknown key 'K{100,120}… \(902 characters\); expected one of"),
    "deep parentheses": (changed(WHEN, "(" * 3000 + "kind = 'play'" + ")" * 3000), "a condition of 6,013 characters"),
    "some parentheses": (changed(WHEN, "(" * 900 + "kind = 'play'" + ")" * 900), "nested too deeply"),
    "many not": (changed(WHEN, "not " * 480 + "kind = 'play'"), "nested too deeply"),
    "20,000 or": (changed(WHEN, " or ".join(["kind = 'play'"] * 20_000)), "expected at most"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_words(name: str, tmp_path: Path) -> None:
    text, said = HOSTILE[name]
    path = tmp_path / "streaming.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as error:
        load_spec(path)
    assert re.search(said, str(error.value)), str(error.value)[:500]
    assert len(str(error.value)) < 3000


@pytest.mark.parametrize("count", [20, 100])
def test_a_long_condition_within_reason_is_read(count: int, tmp_path: Path) -> None:
    path = tmp_path / "streaming.yaml"
    path.write_text(changed(WHEN, " or ".join([f"value > {n}" for n in range(count)])), encoding="utf-8")
    assert load_spec(path).label.grades


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "streaming.yaml")
    with pytest.raises(SpecError, match="is no regular file, expected a pipeline file"):
        load_spec(tmp_path / "streaming.yaml")


def test_the_canonical_form_loads_back(tmp_path: Path) -> None:
    path = tmp_path / "streaming.yaml"
    path.write_text(GOOD, encoding="utf-8")
    spec = load_spec(path)
    assert type(spec).model_validate(spec.canonical()) == spec


def test_a_day_that_is_not_over_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import date

    monkeypatch.setattr("tasks.runs.run.last_whole_day", lambda: date(2026, 3, 9))
    path = tmp_path / "streaming.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert Run.create(path, date(2026, 3, 9), "1").as_of == date(2026, 3, 9)
    with pytest.raises(SpecError, match="2026-03-10, which is not over yet in UTC; expected 2026-03-09 or earlier"):
        Run.create(path, date(2026, 3, 10), "1")
