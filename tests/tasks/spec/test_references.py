"""Every name in a pipeline file refers to something. One bad file for each rule, named for its sin."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.spec import attributes, references
from tasks.spec.load import load_spec
from tasks.spec.project import TOOL, Layers
from tasks.spec.references import baseline_names
from tasks.spec.spec import Spec
from tests.tasks.handmade import SNAPSHOTS, small_catalog, spec_of

FOLDER = TOOL / "tests" / "pipelines"
GOOD, BAD = sorted(FOLDER.glob("good/*")), sorted(FOLDER.glob("bad/*"))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are checked against two features and three data sets, of which one has no staging models."""
    for dataset in ("online_retail", "shop"):
        (tmp_path / "models" / "staging" / dataset).mkdir(parents=True)
    (tmp_path / "datasets").mkdir()
    for dataset in ("online_retail", "shop", "unstaged"):
        (tmp_path / "datasets" / f"{dataset}.yaml").touch()
    monkeypatch.setattr(references, "transforms", lambda: Layers((tmp_path,)))
    monkeypatch.setattr(references, "feature_catalog", small_catalog)
    monkeypatch.setattr(attributes, "transforms", lambda: Layers((tmp_path,)))
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


@pytest.mark.parametrize("path", sorted(TOOL.glob("pipelines/*.yaml")), ids=lambda path: path.stem)
def test_the_pipelines_of_the_project_name_what_the_project_has(path: Path) -> None:
    assert load_spec(path).name == path.stem


def test_names_that_retrieval_brings_along() -> None:
    assert baseline_names(spec_of()) == ["popularity", "history", "logged_order"]
    assert baseline_names(spec_of(examples=SNAPSHOTS)) == ["popularity", "history"]


PEOPLE = (TOOL / "docs" / "examples" / "movielens_people.yaml").read_text(encoding="utf-8")
AGE_GROUP = "bands: {age_group: {of: age, edges: [18, 30, 50]}}\n"


def people(tmp_path: Path, bands: str, by: str) -> Path:
    path = tmp_path / "movielens_people.yaml"
    text = PEOPLE.replace("features:\n", f"{bands}features:\n", 1).replace("{by: gender,", f"{{by: {by},")
    path.write_text(text, encoding="utf-8")
    return path


def test_bands_of_a_number_are_an_attribute_and_a_feature(tmp_path: Path) -> None:
    spec = load_spec(people(tmp_path, AGE_GROUP, "age_group"))
    band = next(part for part in spec.attributes if part.name == "age_group")
    assert (band.feature, band.type, band.edges, band.declared) == ("user_age_group", "text", (18.0, 30.0, 50.0), False)
    assert Spec.model_validate(spec.canonical()) == spec


def test_without_bands_the_canonical_form_is_what_it_was_before_there_were_any() -> None:
    assert "bands" not in spec_of().canonical()


@pytest.mark.parametrize(
    ("bands", "by", "text"),
    [
        ("", "age", r"populations.by: found the number 'age', of which each value would have a model; expected bands"),
        (AGE_GROUP.replace("age,", "agee,"), "gender", r"bands.age_group.of: unknown attribute 'agee' .*mean 'age'"),
        (AGE_GROUP.replace("30, 50", "50, 30"), "gender", r"bands.age_group.edges: found edges that do not ascend"),
        (AGE_GROUP.replace("30, 50", "18, 50"), "gender", r"bands.age_group.edges: found edges that do not ascend"),
        (AGE_GROUP.replace("age_group", "occupation"), "gender", r"bands.occupation: the name 'occupation' is taken"),
        (AGE_GROUP.replace("age_group", "region"), "gender", r"bands.region: the name 'region' is taken"),
        (AGE_GROUP.replace("age_group", "actions_28d"), "gender", r"bands.actions_28d: the name 'actions_28d' is tak"),
        (AGE_GROUP, "age_grup", r"populations.by: unknown user attribute 'age_grup'; .*did you mean 'age_group'"),
    ],
)
def test_bands_that_cannot_be_are_refused(tmp_path: Path, bands: str, by: str, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        load_spec(people(tmp_path, bands, by))


def test_a_list_is_no_stratum(tmp_path: Path) -> None:
    path = people(tmp_path, "", "gender")
    path.write_text(path.read_text(encoding="utf-8").replace("strata: [", "strata: [genres, "), encoding="utf-8")
    with pytest.raises(SpecError, match=r"sample\.strata\.0: found the list 'genres', of whose several values none"):
        load_spec(path)
