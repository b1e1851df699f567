"""Every name in a pipeline file refers to something. One bad file for each rule, named for its sin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.spec import attributes, references
from tasks.spec.load import load_spec
from tasks.spec.project import PROJECT
from tasks.spec.references import baseline_names
from tests.tasks.handmade import SNAPSHOTS, small_catalog, spec_of

FOLDER = PROJECT / "tests" / "pipelines"
GOOD, BAD = sorted(FOLDER.glob("good/*")), sorted(FOLDER.glob("bad/*"))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are checked against two features and three data sets, of which one has no staging models."""
    for dataset in ("online_retail", "shop"):
        (tmp_path / "models" / "staging" / dataset).mkdir(parents=True)
    (tmp_path / "datasets").mkdir()
    for dataset in ("online_retail", "shop", "unstaged"):
        (tmp_path / "datasets" / f"{dataset}.yaml").touch()
    monkeypatch.setattr(references, "TRANSFORMS", tmp_path)
    monkeypatch.setattr(references, "feature_catalog", small_catalog)
    monkeypatch.setattr(attributes, "TRANSFORMS", tmp_path)
    monkeypatch.setattr(attributes, "feature_catalog", small_catalog)


def test_there_are_files() -> None:
    assert len(GOOD) >= 3
    assert len(BAD) >= 60
    assert all(path.suffix == ".yaml" for path in (*GOOD, *BAD))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_file_is_read(path: Path) -> None:
    assert load_spec(path).name == path.stem


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_the_words_on_its_first_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = path.read_text().partition("\nname: ")[0]
    expected = "\n".join(line.removeprefix("# ") for line in head.splitlines())
    assert expected.startswith(f"{path.name}:")

    monkeypatch.chdir(path.parent)
    with pytest.raises(SpecError) as caught:
        load_spec(Path(path.name))
    assert str(caught.value) == expected


@pytest.mark.parametrize("path", sorted(PROJECT.glob("pipelines/*.yaml")), ids=lambda path: path.stem)
def test_the_pipelines_of_the_project_name_what_the_project_has(path: Path) -> None:
    assert load_spec(path).name == path.stem


def test_names_that_retrieval_brings_along() -> None:
    assert baseline_names(spec_of()) == ["popularity", "history", "logged_order"]
    assert baseline_names(spec_of(examples=SNAPSHOTS)) == ["popularity", "history"]
