"""Landed rows by day, and tables that have no days."""

from __future__ import annotations

from datetime import date

from tasks.reports.run_report import report_step
from tasks.reports.run_report_landed import landed_tables
from tasks.spec.parts import FilesSource
from tests.tasks.checking import DAY, FakeRun, days_up_to, land_table

ROWS = "select * from range({rows})"


def films(run: FakeRun, once: date) -> FakeRun:
    """A run on MovieLens, whose films are one file without days."""
    run.spec.source = FilesSource(type="files", dataset="ml_latest_small")
    run.spec.source_name = "ml_latest_small"
    land_table(run, "movies", [once], ROWS.format(rows=900))
    land_table(run, "ratings", days_up_to(DAY, 10), ROWS.format(rows=10))
    return run


def test_a_table_without_days_has_landed_once_and_lacks_nothing(run: FakeRun) -> None:
    films(run, date(1996, 3, 29))  # the first day of the declaration, long before the days that are shown
    tables = {table.table: table for table in landed_tables(run)}  # type: ignore[arg-type]
    assert (tables["movies"].latest, tables["movies"].once, tables["movies"].plot) == (900, date(1996, 3, 29), None)
    assert (tables["ratings"].latest, tables["ratings"].usual, tables["ratings"].once) == (10, 10, None)

    report_step(run)  # type: ignore[arg-type]
    page = (run.step_dir("report") / "report.html").read_text()
    assert "900 rows without a day, landed once on 1996-03-29" in page
    assert "nothing on" not in page
    assert "1.00 × the days before" in page
