"""The stubs of the bundle: one Python file per pipeline file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dags.conftest import PROJECT


def test_each_pipeline_file_gets_a_python_file(pipelines: Callable[..., Path], tmp_path: Path) -> None:
    from dags.stubs import write_stubs

    write_stubs(pipelines("one", "two"), tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == ["one.py", "two.py"]
    text = (tmp_path / "bundle" / "one.py").read_text(encoding="utf-8")
    assert "pipeline_dag('one')" in text
    assert "# name: one\n" in text, "the Code tab shows the pipeline file"
    assert b"airflow" in text.lower().encode(), "Airflow skips files without the word"


def test_refresh_touches_only_what_changed(pipelines: Callable[..., Path], tmp_path: Path) -> None:
    from dags.stubs import write_stubs

    folder, target = pipelines("one", "two"), tmp_path / "bundle"
    write_stubs(folder, target)
    before = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    with (folder / "two.yaml").open("a", encoding="utf-8") as stream:
        stream.write("# a remark\n")
    pipelines("three")
    write_stubs(folder, target)
    after = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    assert after["one.py"] == before["one.py"]
    assert after["two.py"] > before["two.py"]
    assert "three.py" in after


def test_removed_pipeline_disappears(pipelines: Callable[..., Path], tmp_path: Path) -> None:
    from dags.stubs import write_stubs

    folder, target = pipelines("one", "two"), tmp_path / "bundle"
    write_stubs(folder, target)
    (folder / "two.yaml").unlink()
    write_stubs(folder, target)
    assert [path.name for path in target.iterdir()] == ["one.py"]


def test_file_that_is_no_text_does_not_stop_the_others(pipelines: Callable[..., Path], tmp_path: Path) -> None:
    from dags.stubs import write_stubs

    folder, target = pipelines("one"), tmp_path / "bundle"
    (folder / "rubbish.yaml").write_bytes(b"\xff\xfe\x00\r\x85")
    (folder / "folder.yaml").mkdir()
    write_stubs(folder, target)
    for path in target.iterdir():
        compile(path.read_text(encoding="utf-8"), str(path), "exec")


@pytest.mark.parametrize(
    "name",
    [
        "a'); import os; os.mkdir('PWNED",
        '"""\nimport os; os.mkdir("PWNED")\n"""',
        "My Shop",
        "con.fig",
        "{source}",
        "-x",
        "été",
        "a" * 64,
    ],
)
def test_a_name_is_never_code(
    name: str, pipelines: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dags.stubs import write_stubs
    from tasks.errors import SpecError

    monkeypatch.chdir(tmp_path)
    folder, target = pipelines("one"), tmp_path / "bundle"
    (folder / f"{name}.yaml").write_text("name: one\n", encoding="utf-8")
    write_stubs(folder, target)
    (stub,) = [path for path in target.iterdir() if path.name != "one.py"]
    assert stub.stem.startswith("refused_")
    with pytest.raises(SpecError, match=r"no name of a pipeline; expected .* like my_shop\.yaml"):
        exec(compile(stub.read_text(encoding="utf-8"), str(stub), "exec"), {})
    assert not (tmp_path / "PWNED").exists()
    write_stubs(folder, target)
    assert len(list(target.iterdir())) == 2


def test_pipelines_lie_beside_the_package_by_default() -> None:
    from tasks.spec.project import pipelines_folder

    assert pipelines_folder() == PROJECT / "pipelines"
