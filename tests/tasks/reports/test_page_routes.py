from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tasks.errors import MatineeError
from tasks.reports.page_routes import address_of, file_at, rendered_page, report_of, write_overview, write_pages
from tasks.store.files import Home, write_digests, write_json
from tests.tasks.checking import DAY, FakeRun
from tests.tasks.finished_runs import STEPS, finished
from tests.tasks.reports.test_version_pages import publish


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    return FakeRun(Home(tmp_path / "home"))


def nobody(*_: Any) -> Any:
    raise MatineeError("no pipeline file")


def test_files_of_runs_and_versions_are_found(run: FakeRun) -> None:
    finished(run, steps=STEPS[:1])
    publish(run.home, "v1", 1)

    assert file_at(run.home, "runs", "demo", f"{DAY}/a1/land/result.json") == run.step_dir("land") / "result.json"
    assert file_at(run.home, "registry", "demo", "versions/v1/descriptor.json") is not None


@pytest.mark.parametrize(
    "path",
    [
        "../../airflow/keys.json",
        "../other/2026-02-10/a1/x.json",
        "..",
        "",
        "/etc/passwd",
        "2026-02-10/a1/../../../airflow/keys.json",
        "2026-02-10/a1/.hidden.json",
        "2026-02-10/a1/%2e%2e/x.json",
        "2026-02-10/a1/link.json",
        "2026-02-10/a1/linked/keys.json",
        "2026-02-10/a1/page.html",
        "2026-02-10/a1/program.py",
        "2026-02-10/a1",
        "2026-02-10/a1/no\x00.json",
    ],
)
def test_no_address_leads_out_or_to_another_kind_of_file(run: FakeRun, path: str) -> None:
    for secret in (run.home.root / "airflow" / "keys.json", run.home.root / "runs/other/2026-02-10/a1/x.json"):
        write_json(secret, {"secret": 1})
    run.dir.mkdir(parents=True)
    for name in ("page.html", "program.py", ".hidden.json"):
        (run.dir / name).write_text("{}")
    (run.dir / "link.json").symlink_to(run.home.root / "airflow" / "keys.json")
    (run.dir / "linked").symlink_to(run.home.root / "airflow")

    assert file_at(run.home, "runs", "demo", path) is None


@pytest.mark.parametrize("pipeline", ["..", ".", "", "demo/..", "airflow", "../airflow"])
def test_no_pipeline_leads_out(run: FakeRun, pipeline: str) -> None:
    write_json(run.home.root / "airflow" / "keys.json", {"secret": 1})
    finished(run, steps=STEPS[:1])

    assert file_at(run.home, "runs", pipeline, "keys.json") is None
    assert rendered_page(run.home, pipeline, "overview.html") is None
    assert report_of(run.home, pipeline, str(DAY), "a1", nobody) is None
    assert address_of(run.home, pipeline, "a1") is None


def test_a_linked_pipeline_folder_is_not_followed(run: FakeRun, tmp_path: Path) -> None:
    write_json(tmp_path / "elsewhere" / "x.json", {})
    (run.home.root / "runs").mkdir(parents=True)
    (run.home.root / "runs" / "demo").symlink_to(tmp_path / "elsewhere")

    assert file_at(run.home, "runs", "demo", "x.json") is None


@pytest.mark.parametrize("name", ["overview.html", "champion.html", "versions/v1.html"])
def test_pages_are_rendered_on_request(run: FakeRun, name: str) -> None:
    publish(run.home, "v1", 1)

    page = rendered_page(run.home, "demo", name)

    assert page is not None
    assert page.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "name", ["", "nope.html", "versions/v9.html", "versions/../../x.html", "versions/.html", "a/b/c"]
)
def test_other_pages_are_not_there(run: FakeRun, name: str) -> None:
    publish(run.home, "v1", 1)

    assert rendered_page(run.home, "demo", name) is None


def test_a_written_report_is_shown_as_it_is(run: FakeRun) -> None:
    (run.step_dir("report")).mkdir(parents=True)
    (run.step_dir("report") / "report.html").write_text("as written")

    assert report_of(run.home, "demo", str(DAY), "a1", nobody) == "as written"


def test_a_written_report_with_a_flipped_bit_is_not_shown(run: FakeRun, caplog: pytest.LogCaptureFixture) -> None:
    finished(run, steps=STEPS[:2])
    folder = run.step_dir("report")
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("ndcg 0.31")
    write_digests(folder)
    (folder / "report.html").write_text("ndcg 0.35")

    page = report_of(run.home, "demo", str(DAY), "a1", lambda *_: run)  # type: ignore[arg-type,return-value]

    assert page is not None
    assert "0.35" not in page
    assert f"left out of the page: {folder / 'report.html'}: found sha256" in caplog.text


def test_a_half_finished_run_has_a_report_of_what_it_has_left(run: FakeRun) -> None:
    finished(run, steps=STEPS[:2])

    page = report_of(run.home, "demo", str(DAY), "a1", lambda *_: run)  # type: ignore[arg-type,return-value]

    assert page is not None
    assert "the step build has no result" in page


@pytest.mark.parametrize(("day", "attempt"), [("2026-02-10", "other"), ("yesterday", "a1"), ("2026-02-10", "../a1")])
def test_no_run_no_report(run: FakeRun, day: str, attempt: str) -> None:
    other = FakeRun(run.home, as_of=date(2026, 2, 11))
    finished(run, steps=STEPS[:2])

    assert report_of(run.home, "demo", day, attempt, lambda *_: other) is None  # type: ignore[arg-type,return-value]


def test_a_run_is_found_by_the_name_of_its_attempt(run: FakeRun) -> None:
    finished(run, steps=STEPS[:1])

    assert address_of(run.home, "demo", "a1") == "runs/demo/2026-02-10/a1/report/report.html"
    assert address_of(run.home, "demo", "a2") is None


def test_all_pages_are_written_with_links_that_work(run: FakeRun) -> None:
    publish(run.home, "v1", 1)

    paths = write_pages(run.home, "demo")

    assert [path.name for path in paths] == ["overview.html", "champion.html"]
    assert (paths[1].parent / "versions" / "v1.html").is_file()


def test_an_overview_can_be_written_elsewhere(run: FakeRun, tmp_path: Path) -> None:
    finished(run)
    (run.step_dir("report")).mkdir(parents=True)
    (run.step_dir("report") / "report.html").write_text("")

    path = write_overview(run.home, "demo", tmp_path / "out" / "o.html")

    assert 'href="../home/runs/demo/2026-02-10/a1/report/report.html' in path.read_text()


def test_an_unknown_pipeline_is_named(run: FakeRun) -> None:
    finished(run, steps=STEPS[:1])

    with pytest.raises(MatineeError, match="pipeline 'nope' has no runs here, found demo; run a day first"):
        write_pages(run.home, "nope")


def test_the_command_writes_the_pages_and_names_them(run: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.cli.main import app

    publish(run.home, "v1", 1)
    monkeypatch.setenv("MATINEE_HOME", str(run.home.root))

    done = CliRunner().invoke(app, ["overview", "demo", "--days", "30"])

    assert done.exit_code == 0
    assert [Path(line).name for line in done.output.split()] == ["overview.html", "champion.html"]
