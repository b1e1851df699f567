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
    "aliases that grow": ("a: &a [x, x]\nb: &b [*a, *a]\n" + GOOD, "an alias .* is not read here; write the value out"),
    "an alias of itself": ("a: &a [*a]\n" + GOOD, "an alias .* is not read here"),
    "a merged key": ("<<: {x: 1}\n" + GOOD, "a key must be a plain word; found '<<'"),
    "a call": (
        changed("name: streaming", "name: !!python/object/apply:os.system ['true']"),
        r"a tag \(.*os\.system\) is not read here",
    ),
    "a function": (changed("name: streaming", "name: !!python/name:os.system"), r"a tag \(.*os\.system\) is not read"),
    "tag binary": (changed("name: streaming", "name: !!binary 'zz'"), r"a tag \(.*binary\)"),
    "tag omap": (changed("name: streaming", "name: !!omap [a: 1]"), r"a tag \(.*omap\)"),
    "tag timestamp": (changed("start: 2026-01-01", "start: !!timestamp [a]"), r"a tag \(.*timestamp\)"),
    "a key twice": (GOOD + "\nname: other\n", "the key 'name' stands twice, first on line 2"),
    "tabs": (changed("label:\n  horizon", "label:\n\thorizon"), "not valid YAML: found character that cannot start"),
    "NUL": (changed("name: streaming", "name: stre\0aming"), "not valid YAML: unacceptable character #x0000"),
    "two documents": (GOOD + "\n---\nname: x\n", "not valid YAML: but found another document"),
    "1e400": (changed("learning_rate: 0.08", "learning_rate: 1e400"), "learning_rate: found inf, expected a finite"),
    "NaN": (
        changed("learning_rate: 0.08", "learning_rate: .nan"),
        "learning_rate: found nan, expected a finite number",
    ),
    "infinity": (changed("learning_rate: 0.08", "learning_rate: .inf"), "learning_rate: found inf, expected a finite"),
    "many users": (changed("users: 1000", "users: 1000000000000"), "source.users: found 1000000000000, expected less"),
    "a huge k": (changed("refit: 7d, k: 100", "refit: 7d, k: 100000000000000"), r"retrieval\.0\.k: found 1000"),
    "a huge window": (changed("train: 21d", "train: 99999999999d"), "examples.train: found '99999999999d', expected"),
    "a day that is none": (
        changed("start: 2026-01-01", "start: 2026-02-30"),
        "'2026-02-30', which is not in the calen",
    ),
    "a name with a quote": (
        changed("name: streaming", 'name: "str\'eam"'),
        'name: found "str\'eam", expected the form',
    ),
    "a name of a path": (
        changed("name: streaming", "name: ../streaming"),
        "name: found '../streaming', expected the form",
    ),
    "a name with a line break": (changed("name: streaming", 'name: "streaming\\n"'), "expected the form"),
    "a letter of another script": (
        changed("name: streaming", "name: str\u0435aming"),
        "name: found .*, expected the form",
    ),
    "a name of another file": (changed("name: streaming", "name: con"), "name: found 'con', expected 'streaming'"),
    "an alias of a path": (
        changed("alias: champion", "alias: ../../x"),
        "publish.alias: found '../../x', expected the",
    ),
    "an alias with a line break": (
        changed("alias: champion", 'alias: "champion\\n"'),
        "publish.alias: .* expected the form",
    ),
    "a schedule with a command": (
        changed('schedule: "@daily"', 'schedule: "* * * * *; touch x"'),
        r"schedule: found '\* \* \* \* \*; touch x', expected @daily, or a cron",
    ),
    "text behind a quoted one": (
        changed("description: Orders", 'description: "{{ 7*7 }}" Orders'),
        "not valid YAML: did",
    ),
    "SQL in a feature": (
        changed("  - item_trend", "  - 'item_trend; drop table x'"),
        "unknown feature 'item_trend; drop table x'; expected one of",
    ),
    "SQL in a stratum": (
        changed("strata: [region, tenure_band], groups", "strata: ['region\"; drop table x; --'], groups"),
        "sample.strata.0: found .*drop table x; --', expected the form",
    ),
    "a data set of a path": (
        changed("{type: simulated, users: 1000, items: 500, seed: 7}", "{type: files, dataset: ../../etc/passwd}"),
        "source.dataset: found '../../etc/passwd', expected the form",
    ),
    "a data set with a quote": (
        changed("{type: simulated, users: 1000, items: 500, seed: 7}", '{type: files, dataset: "a\'b"}'),
        'source.dataset: found "a\'b", expected the form',
    ),
    "10 MB of items": (
        changed("features:\n", "features:\n" + "".join(f"  - f{number}\n" for number in range(700_000))),
        f"expected at most {LARGEST:,}",
    ),
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


@pytest.mark.parametrize(("encoding", "byte"), [("utf-16", "0xff"), ("latin-1", "0xe9")])
def test_another_encoding_is_named_by_its_first_byte(encoding: str, byte: str, tmp_path: Path) -> None:
    path = tmp_path / "streaming.yaml"
    path.write_bytes(changed("title", "titl\xe9").encode(encoding, "replace"))
    with pytest.raises(SpecError, match=rf"streaming\.yaml: expected UTF-8 text, found byte {byte}"):
        load_spec(path)


@pytest.mark.parametrize(
    "text", ["\ufeff" + GOOD, changed("description: Orders", "description: <script>alert(1)</script> [x](y) Orders")]
)
def test_a_mark_at_the_begin_and_markup_in_a_description_are_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "streaming.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_spec(path).name == "streaming"


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
