"""What a step leaves is there as a whole, and is read only by steps of the same file and code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import DamagedFile, FilesChanged, MatineeError, SpecError
from tasks.runs import made_by
from tasks.runs.run import Run
from tasks.store.files import Home, write_digests
from tasks.store.records import Record
from tests.copied_transforms import copied_transforms, edit
from tests.tasks.handmade import day, spec_of
from tests.tasks.without_dbt import SHOP, january
from tests.tiny_pipelines import SHOWN, SHOWN_DAY, pipeline_file


class Counted(Record):
    rows: int


class Named(Record):
    name: str


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(spec_of(), Home(tmp_path), day("02-20"), "1")


def leave(run: Run, rows: int) -> None:
    with run.write("sample") as folder:
        (folder.path / "rows.txt").write_text(str(rows))
        folder.result = Counted(rows=rows)


def leave_half(run: Run) -> None:
    with run.write("sample") as folder:
        (folder.path / "rows.txt").write_text("half")
        raise KeyError("grade")


def test_a_step_leaves_its_files_with_its_result(run: Run) -> None:
    leave(run, 3)

    assert run.read("sample", Counted) == Counted(rows=3)
    assert (run.step_dir("sample") / "rows.txt").read_text() == "3"


def test_a_step_that_fails_leaves_what_was_there(run: Run) -> None:
    leave(run, 3)

    with pytest.raises(KeyError):
        leave_half(run)
    with pytest.raises(ValueError, match="the step 'sample' ended without a result"), run.write("sample"):
        pass
    assert run.read("sample", Counted) == Counted(rows=3)
    assert (run.step_dir("sample") / "rows.txt").read_text() == "3"


def test_what_has_not_run_or_has_another_shape_is_named(run: Run) -> None:
    with pytest.raises(MatineeError, match=r"the step 'sample' of tiny 2026-02-20 has not run in the attempt '1'"):
        run.read("sample", Counted)
    leave(run, 3)
    with pytest.raises(MatineeError, match=r"sample/result\.json: name: .*run the step that writes it again"):
        run.read("sample", Named)


def test_steps_of_one_attempt_by_other_code_or_another_file_do_not_mix(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(run, 3)
    edited = Run(spec_of(sample={"groups": 7}), Home(tmp_path), day("02-20"), "1")
    with pytest.raises(MatineeError, match=r"changed since the step 'sample' .*: the pipeline file"):
        edited.read("sample", Counted)
    monkeypatch.setattr(made_by, "code_digest", lambda: "edited")
    with pytest.raises(MatineeError, match=r"the code of matinee\..* Run the day again: `matinee run`"):
        run.read("sample", Counted)


def test_a_file_that_is_edited_during_a_run_stops_that_run_and_no_other(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = copied_transforms(tmp_path, monkeypatch) / "models" / "staging"
    other = Run(spec_of(**SHOP), Home(tmp_path), january(14), "1")
    for one in (run, other):
        leave(one, 3)
    edit(staging / "simulated" / "stg_users.sql", "'missing_id'", "'no_id'")
    assert other.read("sample", Counted).rows == 3
    with pytest.raises(FilesChanged) as error:
        run.read("sample", Counted)
    assert str(error.value) == (
        "changed since the step 'sample' of tiny 2026-02-20 ran in the attempt '1': "
        "transforms/models/staging/simulated/stg_users.sql. Results from before and after must not be mixed, so this "
        "run stops; runs that do not use what changed go on. Run the day again: `matinee run`, or clear its run in "
        "Airflow"
    )
    edit(staging / "simulated" / "stg_users.sql", "'no_id'", "'missing_id'")
    assert run.read("sample", Counted).rows == 3, "it is as it was"


def test_what_is_edited_while_a_step_works_is_not_what_it_worked_with(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    macros = copied_transforms(tmp_path, monkeypatch) / "macros"
    with run.write("sample") as folder:
        edit(macros / "measures.sql", "'play', ", "")
        folder.result = Counted(rows=3)
    with pytest.raises(FilesChanged, match=r"macros/measures\.sql"):
        run.read("sample", Counted)


def test_a_dataset_file_that_is_edited_during_a_run_stops_the_runs_that_read_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is landed before and after it would be read in two ways."""
    datasets = copied_transforms(tmp_path, monkeypatch) / "datasets"
    shop = Run(spec_of(**SHOP), Home(tmp_path), january(14), "1")
    for one in (run, shop):
        leave(one, 3)
    (datasets / "ml_100k.yaml").unlink()  # of another pipeline
    assert shop.read("sample", Counted).rows == 3
    for change in (lambda path: path.write_text(f"{path.read_text()}\n# edited\n"), Path.unlink):
        change(datasets / "online_retail.yaml")
        with pytest.raises(FilesChanged, match=r"shop 2011-01-14 .*: transforms/datasets/online_retail\.yaml\. "):
            shop.read("sample", Counted)
    assert run.read("sample", Counted).rows == 3, "it reads no files"


def test_a_step_of_a_version_before_0_1_is_not_gone_on_from(run: Run) -> None:
    leave(run, 3)
    (run.step_dir("sample") / "made_by.json").write_text('"0123abcd"')
    write_digests(run.step_dir("sample"))
    with pytest.raises(MatineeError, match=r"made_by\.json: .*another version may have written it: run the step"):
        run.read("sample", Counted)


def test_many_changed_files_are_counted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(run, 3)
    copy = copied_transforms(tmp_path, monkeypatch)
    for path in (copy / "models" / "staging" / "simulated").glob("*.sql"):
        path.write_text(f"{path.read_text()}\n-- edited")
    edit(copy / "profiles.yml", "TimeZone: UTC", "TimeZone: Europe/Berlin")
    with pytest.raises(FilesChanged, match=r"stg_users\.sql and 1 more\. Results"):
        run.read("sample", Counted)


def test_a_day_that_the_pipeline_does_not_cover_is_an_error(tmp_path: Path) -> None:
    path = pipeline_file(tmp_path, SHOWN)

    assert Run.create(path, SHOWN_DAY, "1", home=Home(tmp_path)).as_of == SHOWN_DAY
    with pytest.raises(SpecError, match=r"found as-of day 1999-12-31\. Choose a day it covers"):
        Run.create(path, SHOWN_DAY.replace(year=1999, month=12, day=31), "1", home=Home(tmp_path))


def test_a_file_that_a_step_has_left_is_compared_when_it_is_read(run: Run) -> None:
    leave(run, 3)
    assert run.file("sample", "rows.txt") == run.step_dir("sample") / "rows.txt"

    for name in ("rows.txt", "result.json", "made_by.json", "digests.json"):
        path = run.step_dir("sample") / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(DamagedFile, match=rf"sample/{name}: "):
            run.read("sample", Counted) if name != "rows.txt" else run.file("sample", name)
        leave(run, 3)
