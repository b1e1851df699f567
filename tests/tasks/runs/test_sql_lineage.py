"""Which SQL a pipeline's tables are made of: in small projects, and in ours, where dbt's own manifest is asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BuildError
from tasks.runs.sql_lineage import PipelineSql, find_sql, sql_of
from tasks.runs.sql_templates import blocks_of
from tasks.runs.staging_defaults import MADE
from tasks.spec.project import TOOL, TRANSFORMS, Layers
from tests.copied_transforms import copied_transforms, edit
from tests.tasks.handmade import spec_of
from tests.tasks.without_dbt import SHOP as SHOPS

SHOP, CLUB = "models/staging/shop", "models/staging/club"
MINE = "models/staging/{{ var('staging', 'shop') }}"
PROJECT: dict[str, Any] = {
    "name": "matinee",
    "model-paths": ["models/shared", MINE],
    "vars": {"staging": "shop", "rate": 2, "unused": 1},
    "models": {"matinee": {"+pre-hook": "{{ clear() }}"}},
}
SMALL = {
    "profiles.yml": "matinee: {}",
    "macros/shared.sql": "{% macro clear() %}delete{% endmacro %}\n{% macro both() %}{{ deep() }}{% endmacro %}",
    "macros/deep.sql": "{% macro deep() %}1{% endmacro %} {# a remark #} {% macro of_club() %}2{% endmacro %}",
    "models/shared/users.sql": "select * from {{ ref('int_users') }} {{ var('rate') }}",
    "models/shared/int_users.sql": "select * from {{ ref('stg_users') }}",
    "models/shared/nobodys.sql": "select * from {{ ref('int_users') }}",
    "models/shared/shared.yml": "models: [{name: users}, {name: int_users}]",
    f"{SHOP}/stg_users.sql": "select {{ both() }}",
    f"{CLUB}/stg_users.sql": "select {{ of_club() }}",
}


def written(folder: Path, files: Mapping[str, str], project: Mapping[str, Any] = PROJECT) -> Path:
    for path, text in {**files, "dbt_project.yml": yaml.safe_dump(dict(project))}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def found(folder: Path, staging: str = "shop", **changes: str) -> PipelineSql:
    """The SQL of a pipeline in a small project with more files, named with / for __ and without their suffix."""
    more = {f"{name.replace('__', '/')}.sql": text for name, text in changes.items()}
    return find_sql(Layers((written(folder, {**SMALL, **more}),)), {"staging": staging})


def test_a_pipeline_has_what_its_models_name_and_no_more(tmp_path: Path) -> None:
    shop, club = found(tmp_path), found(tmp_path, "club")
    shared = {
        "dbt_project.yml", "profiles.yml", "macros/shared.sql", "macros/deep.sql", "models/shared/users.sql",
        "models/shared/int_users.sql", "models/shared/shared.yml",
    }  # fmt: skip
    assert shop.files.keys() == shared | {f"{SHOP}/stg_users.sql"}
    assert club.files.keys() == shared | {f"{CLUB}/stg_users.sql"}
    assert (shop.files["macros/deep.sql"], club.files["macros/deep.sql"]) == (
        "{% macro deep() %}1{% endmacro %}", "{% macro of_club() %}2{% endmacro %}",
    )  # fmt: skip
    assert club.files["macros/shared.sql"] == "{% macro clear() %}delete{% endmacro %}", "the hook's alone"
    assert yaml.safe_load(shop.files["dbt_project.yml"])["vars"] == {"rate": 2, "staging": "shop"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("models/shared/new_mart.sql", "select * from {{ ref('users') }}"),
        ("models/shared/broken.sql", "select {{ nothing( }} {%"),
        ("models/shared/new_mart.yml", "models: [{name: new_mart}]"),
        ("models/shared/half.yml", "models:\n  - name: new_mart\n    columns: [{"),
        ("models/shared/empty.yml", ""),
        ("models/shared/notes.md", "{% docs unused %}words{% enddocs %}"),
        ("models/shared/.#users.sql", "an editor's lock"),
        ("models/staging/bank/stg_users.sql", "select 1"),
        ("macros/new.sql", "{% macro new() %}{{ users }}{% endmacro %}"),
        ("macros/broken.sql", "{% macro newer() %}{{ '"),
        ("seeds/countries.csv", "id\n1\n"),
        ("tests/about_others.sql", "select * from {{ ref('new_mart') }}"),
        ("datasets/bank.yaml", "name: bank"),
        ("README.md", "about"),
        ("target/compiled.sql", "select 1"),
    ],
)
def test_a_file_that_nothing_names_changes_nothing(tmp_path: Path, path: str, text: str) -> None:
    before = found(tmp_path)
    written(tmp_path, {path: text})
    assert found(tmp_path).files == before.files
    assert found(tmp_path).digest == before.digest


def test_a_file_of_any_bytes_belongs_to_its_own_pipeline(tmp_path: Path) -> None:
    before = found(tmp_path).digest
    (tmp_path / CLUB / "stg_odd.sql").write_bytes(b"select '\xe9'")
    assert found(tmp_path).digest == before
    club = found(tmp_path, "club")
    club.write(tmp_path / "written")
    assert (tmp_path / "written" / CLUB / "stg_odd.sql").read_bytes() == b"select '\xe9'"
    assert len(club.digest) == 64


@pytest.mark.parametrize("name", ["generate_schema_name", "duckdb__create_table_as", "get_incremental_mine_sql"])
def test_macros_that_dbt_calls_itself_are_everybodys(tmp_path: Path, name: str) -> None:
    files = found(tmp_path, macros__own=f"{{% macro {name}() %}}{{% endmacro %}}").files
    assert "macros/own.sql" in files


def test_what_is_named_while_dbt_runs_may_be_anything(tmp_path: Path) -> None:
    files = found(tmp_path, models__shared__users="{{ ref('int_' ~ 'users') }}").files
    assert {"models/shared/nobodys.sql", "models/shared/int_users.sql"} <= files.keys()
    assert "of_club" in files["macros/deep.sql"]
    assert not [path for path in files if path.startswith(CLUB)], "no path leads there"
    assert yaml.safe_load(files["dbt_project.yml"])["vars"] == PROJECT["vars"]


def test_a_model_that_is_passed_to_a_macro_is_found_where_its_name_is_a_text(tmp_path: Path) -> None:
    passing = {
        "macros__union": "{% macro union_of(models) %}{{ each(models) }}{% endmacro %}",
        "macros__each": "{% macro each(models) %}{% for m in models %}{{ ref(m) }}{% endfor %}{% endmacro %}",
        "models__shared__users": "{{ union_of(['int_users', 'stg_users']) }}",
    }
    files = found(tmp_path, **passing).files
    assert {"models/shared/int_users.sql", f"{SHOP}/stg_users.sql"} <= files.keys()
    assert "models/shared/nobodys.sql" not in files


def test_dispatched_macros_of_every_adapter_are_found(tmp_path: Path) -> None:
    dialects = "".join(f"{{% macro {adapter}__days() %}}{{% endmacro %}}" for adapter in ("duckdb", "spark", "default"))
    days = "{% macro days() %}{{ adapter.dispatch('days')() }}{% endmacro %}"
    files = found(tmp_path, macros__days=days, macros__dialects=dialects, models__shared__users="{{ days() }}").files
    assert [block.name for block in blocks_of(files["macros/dialects.sql"])] == [
        "duckdb__days", "spark__days", "default__days",
    ]  # fmt: skip


def test_tests_seeds_and_documentation_belong_to_what_they_are_about(tmp_path: Path) -> None:
    about = {
        "models/shared/users.yml": yaml.safe_dump({
            "models": [{
                "name": "users", "description": "{{ doc('users') }}",
                "data_tests": [{"unique_grain": {"arguments": {"columns": ["user_id"], "to": "ref('countries')"}}}],
            }],
        }),
        "models/shared/docs.md": "{% docs users %}Who they are.{% enddocs %}{% docs others %}No.{% enddocs %}",
        "macros/tests.sql": "{% test unique_grain(model) %}1{% endtest %}{% test other(model) %}2{% endtest %}",
        "tests/no_nobody.sql": "select * from {{ ref('users') }}",
        "seeds/countries.csv": "id\n1\n",
        "seeds/countries.yml": "seeds: [{name: countries}]",
    }  # fmt: skip
    written(tmp_path, about)
    files = found(tmp_path).files
    assert about.keys() <= files.keys()
    assert files["macros/tests.sql"] == "{% test unique_grain(model) %}1{% endtest %}"
    assert files["models/shared/docs.md"] == "{% docs users %}Who they are.{% enddocs %}"


def test_a_project_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (written(tmp_path, SMALL) / "profiles.yml").unlink()
    with pytest.raises(BuildError, match=r"profiles\.yml: cannot be read \(.*\); dbt needs it, so restore it"):
        find_sql(Layers((tmp_path,)), {"staging": "shop"})
    (tmp_path / "dbt_project.yml").write_text("name: [")
    with pytest.raises(BuildError, match=r"dbt_project\.yml: not valid YAML \(.*\); dbt needs it, so correct it"):
        find_sql(Layers((tmp_path,)), {"staging": "shop"})


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("../elsewhere", r"model-paths: found '\.\./elsewhere', expected a folder below project/"),
        ("/etc", "model-paths: found '/etc', expected a folder below"),
        ("models/{{ var('staging') }}/../../..", r"model-paths: found 'models/shop/\.\./\.\./\.\.', expected"),
        ("models/{{ nothing( }}", r"dbt_project\.yml: model-paths: 'models/\{\{ nothing\( \}\}' cannot be rendered: "),
    ],
)
def test_a_folder_that_is_none_of_the_project_is_refused(tmp_path: Path, folder: str, message: str) -> None:
    root = written(tmp_path / "project", SMALL, {**PROJECT, "model-paths": [folder]})
    with pytest.raises(BuildError, match=message):
        find_sql(Layers((root,)), {"staging": "shop"})


NAMES = [f"m{n}" for n in range(8)]


@given(
    models=st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES)), min_size=2),
    macros=st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES))),
    roots=st.sets(st.sampled_from(NAMES)),
    edited=st.sampled_from(NAMES),
    edits_macro=st.booleans(),
)
def test_exactly_the_edits_of_what_is_reached_change_the_digest(
    tmp_path_factory: pytest.TempPathFactory,
    models: dict[str, set[str]],
    macros: dict[str, set[str]],
    roots: set[str],
    edited: str,
    edits_macro: bool,
) -> None:
    """Every model names others and the macro of its own name, every macro names others: a graph of known reach."""

    def files(remark: str) -> dict[str, str]:
        def remarked(name: str, macro: bool) -> str:
            return remark if (name, macro) == (edited, edits_macro) else ""

        sql = {
            f"models/shared/{name}.sql": f"{{{{ f_{name}() }}}} {remarked(name, False)}"
            + "".join(f"{{{{ ref('{other}') }}}}" for other in sorted(others))
            for name, others in models.items()
        }
        one_file = "\n".join(
            f"{{% macro f_{name}() %}}{remarked(name, True)}"
            + "".join(f"{{{{ f_{other}() }}}}" for other in sorted(others)) + "{% endmacro %}"
            for name, others in macros.items()
        )  # fmt: skip
        users = "".join(f"{{{{ ref('{name}') }}}}" for name in sorted(roots))
        return {**sql, "macros/all.sql": one_file, "models/shared/users.sql": users, "profiles.yml": "{}"}

    reached, waiting = set[tuple[str, bool]](), [(name, False) for name in roots]
    while waiting:
        name, macro = waiting.pop()
        if (name, macro) not in reached and name in (macros if macro else models):
            reached.add((name, macro))
            waiting += [(other, macro) for other in (macros if macro else models)[name]] + [(name, True)]

    folder = tmp_path_factory.mktemp("project")
    project = {"name": "matinee", "model-paths": ["models/shared"]}
    before = find_sql(Layers((written(folder, files(""), project),)), {})
    after = find_sql(Layers((written(folder, files("-- edited"), project),)), {})
    assert (before.digest != after.digest) is ((edited, edits_macro) in reached)
    assert {Path(path).stem for path in before.files if path.startswith("models/")} == {
        "users", *(name for name, macro in reached if not macro),
    }  # fmt: skip


# Our own project: one pipeline of each data set.
SPECS = {
    "simulated": spec_of(),
    "online_retail": spec_of(**SHOPS),
    "ml_latest_small": spec_of(**SHOPS | {"source": {"type": "files", "dataset": "ml_latest_small"}}),
}


def digests() -> dict[str, str]:
    return {name: sql_of(spec).digest for name, spec in SPECS.items()}


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_the_staging_of_one_data_set_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, before = copied_transforms(tmp_path, monkeypatch), digests()
    for name in SPECS:
        for file in sorted((copy / "models" / "staging" / name).iterdir()):
            text = file.read_text()
            file.write_text(f"{text}\n# edited\n")
            assert differing(before, digests()) == {name}, file
            file.write_text(text)
    assert digests() == before


@pytest.mark.parametrize(
    ("macro", "users"),
    [
        ("no_impressions", {"online_retail", "ml_latest_small"}),
        ("matches", {"online_retail"}),
        ("duckdb__matches", {"online_retail"}),
        ("from_epoch_seconds", {"ml_latest_small"}),
        ("duckdb__from_epoch_seconds", {"ml_latest_small"}),
        ("ruled", set(SPECS)),
        ("trailing", set(SPECS)),
        ("record", set(SPECS)),
        ("holds", set(SPECS)),
    ],
)
def test_a_macro_is_everybodys_who_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, macro: str, users: set[str]
) -> None:
    copy, before = copied_transforms(tmp_path, monkeypatch), digests()
    (file,) = (path for path in (copy / "macros").iterdir() if f" {macro}(" in _definitions(path))
    edit(file, f" {macro}(", f" {macro}(_more=none, ")
    assert differing(before, digests()) == users


def _definitions(path: Path) -> str:
    return "".join(f" {block.name}(" for block in blocks_of(path.read_text()))


def test_a_model_that_a_query_outside_of_the_project_reads_is_everybodys() -> None:
    shared = {path.stem for path in (TRANSFORMS / "models").rglob("*.sql") if "staging" not in path.parts}
    texts = [path.read_text() for path in (TOOL / "tasks").rglob("*") if path.suffix in {".py", ".sql"}]
    read = {name for text in texts for name in re.findall(r"\b(?:from|join)\s+(\w+)", text)} & shared
    assert read >= {"labels", "request_attributes", "feat_user_values"}, "the search still finds queries"
    for spec in SPECS.values():
        assert read <= {Path(path).stem for path in sql_of(spec).files}


@pytest.mark.slow
@pytest.mark.parametrize("staging", sorted(SPECS))
def test_dbt_sees_the_same_lineage(tmp_path: Path, staging: str) -> None:
    manifest = parsed(whole_project(tmp_path / "project", staging), tmp_path, staging)
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] in {"model", "test"}}
    used = macros_used(manifest, [name for node in nodes.values() for name in node["depends_on"]["macros"]])
    paths = {node["original_file_path"] for node in nodes.values()}

    sql = sql_of(SPECS[staging])
    blocks = {
        block.macro for path, text in sql.files.items() if path.startswith("macros/") for block in blocks_of(text)
    }
    assert paths <= sql.files.keys()
    assert used <= blocks
    # dbt sees the dialect of its own adapter alone, and overlooks what stands within a `call`.
    assert {name for name in blocks - used if "__" not in name} <= {"matches", "from_epoch_seconds"}


# Of each kind: models that a pipeline without declared attributes has disabled are in a manifest only then.
DECLARED = {
    "user": [{"name": "age", "type": "double"}],
    "item": [{"name": "genres", "type": "varchar[]"}],
    "request": [{"name": "device", "type": "varchar"}],
}


def whole_project(folder: Path, staging: str) -> Path:
    """Everything that there is of the project, and the parts of the staging that are made."""
    shutil.copytree(TRANSFORMS, folder, ignore=shutil.ignore_patterns("target", "logs", "staging_defaults"))
    sql = sql_of(SPECS[staging])
    for path in sql.files:
        if path.startswith(("models/staging", f"macros/{MADE}")) or path == "dbt_project.yml":
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(sql.content(path))
    return folder


def parsed(project: Path, folder: Path, staging: str) -> dict[str, Any]:
    """dbt's manifest of a whole project."""
    command = [
        str(Path(sys.executable).parent / "dbt"), "--quiet", "parse", "--project-dir", str(project),
        "--profiles-dir", str(project), "--target-path", str(folder), "--log-path", str(folder),
        "--vars", json.dumps({"staging": staging, "attributes": DECLARED}),
    ]  # fmt: skip
    env = os.environ | {"MATINEE_WAREHOUSE_FILE": str(folder / "none.duckdb"), "DO_NOT_TRACK": "1"}
    subprocess.run(command, env=env, check=True, cwd=folder, capture_output=True)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def macros_used(manifest: Mapping[str, Any], names: Iterable[str]) -> set[str]:
    """Those of the project's macros that some macros use, and these themselves."""
    waiting, found_names = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found_names:
            found_names.add(name)
            waiting += manifest["macros"][name]["depends_on"]["macros"]
    return {name.split(".")[2] for name in found_names if name.startswith("macro.matinee.")}
