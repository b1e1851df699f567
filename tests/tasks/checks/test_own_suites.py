"""What a project adds to a suite of matinee's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.checks.own_suites import extended
from tasks.checks.suites import check_own_suites, load_suite, suite_for, suite_names
from tasks.errors import CheckFailed
from tests.tasks.checks.test_gx import between


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MATINEE_PROJECT", str(tmp_path))
    (tmp_path / "expectations").mkdir()
    return tmp_path


def add(project: Path, name: str, *expectations: dict[str, Any], **measure: Any) -> None:
    meta = {"about": "Ours.", "next": "ask us", "measure": measure}
    document = {"name": name, "meta": meta, "expectations": list(expectations)}
    (project / "expectations" / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def bounds(name: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in load_suite(name).expectations:
        found.setdefault(one.column.name, []).append((one.kwargs.get("min_value"), one.kwargs.get("max_value")))
    return found


def test_an_expectation_is_added_and_one_on_the_same_takes_its_place(project: Path) -> None:
    before = bounds("default.landed")
    fixed, trailing = before["rows"]
    assert fixed == (0, None)
    add(
        project, "default.landed", between("rows", min_value=50), between("few__rate", max_value=0.1),
        rules={"few": "price < 0"},
    )  # fmt: skip
    assert bounds("default.landed") == {**before, "rows": [trailing, (50, None)], "few__rate": [(None, 0.1)]}
    suite = load_suite("default.landed")
    assert (suite.meta.about, suite.meta.trailing.days) == ("Ours.", 28)
    assert suite.meta.measure.rules == {"few": "price < 0"}
    assert "every_column" in suite.meta.measure.families, "what matinee's measures is still measured"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (
            "default.landed",
            '"rows"',
            '"roes"',
            r"default\.landed\.json:9: expectations\.\d+: unknown profile column 'roes'",
        ),
        (
            "my_shop.sales",
            '"rows"',
            '"roes"',
            r"my_shop\.sales\.json:9: expectations\.0: unknown profile column 'roes'",
        ),
        ("my_shop.sales", '"severity"', '"severe"', r"my_shop\.sales\.json:\d+: expectations\.0\.severe"),
        ("my_shop.sales", '"meta"', '"mete"', r"my_shop\.sales\.json:\d+: mete"),
        ("my_shop.sales", '"meta": {', '"meta": ', r"my_shop\.sales\.json:\d+: not valid JSON"),
    ],
)
def test_a_broken_suite_is_named_by_file_and_line(project: Path, name: str, old: str, new: str, said: str) -> None:
    check_own_suites()
    add(project, name, between("rows", min_value=1))
    check_own_suites()
    path = project / "expectations" / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1).replace(old, new, 1))
    with pytest.raises(CheckFailed, match=said):
        check_own_suites()


def test_a_suite_of_its_own_is_found_beside_those_of_matinee(project: Path) -> None:
    add(project, "my_shop.sales", between("rows", min_value=1))
    assert {"my_shop.sales", "default.landed"} <= set(suite_names())
    assert suite_for("my_shop", "sales", "default.landed").name == "my_shop.sales"
    assert suite_for("my_shop", "others", "default.landed").name == "default.landed"


def test_a_data_set_called_like_one_of_matinee_has_none_of_its_suites(project: Path) -> None:
    (project / "transforms" / "datasets").mkdir(parents=True)
    (project / "transforms" / "datasets" / "online_retail.yaml").touch()
    assert suite_for("online_retail", "lines", "default.landed").name == "default.landed"
    add(project, "online_retail.lines", between("rows", min_value=1))
    assert bounds("online_retail.lines") == {"rows": [(1, None)]}


def test_a_mistake_names_the_file_that_has_it(project: Path) -> None:
    add(project, "features.labels", between("nowhere__rate", max_value=1))
    with pytest.raises(CheckFailed, match=rf"^{project}/expectations/features\.labels\.json:1: .*nowhere"):
        load_suite("features.labels")
    (project / "expectations" / "features.labels.json").write_text("[]")
    with pytest.raises(CheckFailed, match=rf"^{project}/expectations/features\.labels\.json: "):
        load_suite("features.labels")
    with pytest.raises(CheckFailed, match=rf"^{project}/expectations/mine\.json: no such suite"):
        load_suite("mine")


def test_what_is_no_suite_is_left_to_its_reader() -> None:
    suite = {"expectations": [{"type": "a", "kwargs": {"column": "rows"}}]}
    assert extended(None, suite) == suite
    assert extended(suite, []) == []
    assert extended(suite, {"expectations": [1]})["expectations"] == [*suite["expectations"], 1]
