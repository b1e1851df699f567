"""Which landed row a corrected one replaces, and with what."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.cli.render.quarantine import rejected_rows_csv
from tasks.errors import SourceError
from tasks.quarantine.corrected_rows import CorrectedRow, Match, match_rows, read_corrected_rows
from tasks.quarantine.corrections import sort_corrections
from tasks.quarantine.rejected_rows import RejectedRow
from tasks.store.files import Home
from tasks.store.partitions import partition_dir, store
from tests.tasks.handmade import spec_of

DAY = date(2026, 2, 1)
SPEC = spec_of()


@pytest.fixture
def rejected(home: Home) -> list[RejectedRow]:
    """A landed and rejected row of each of two tables, which have a column of their own each."""
    rows = []
    for table, column in (("events", "item"), ("users", "region")):
        store(partition_dir(home, SPEC.source_name, table, DAY), pa.table({"id": [""], column: ["a"]}), inputs="x")
        text = f'{{"id":"","{column}":"a"}}'
        rows.append(RejectedRow(f"of_{table}", table, "missing_id", DAY, None, None, text, "2026-02-01/1"))
    return rows


def test_a_file_may_have_rows_of_several_tables(home: Home, rejected: list[RejectedRow], tmp_path: Path) -> None:
    written = rejected_rows_csv(rejected).replace(",2026-02-01/1,,", ",2026-02-01/1,x,")
    (tmp_path / "rows.csv").write_text(written)

    corrections = sort_corrections(SPEC, home, match_rows(read_corrected_rows(tmp_path / "rows.csv"), rejected, None))

    assert [one.after for one in corrections.ready] == [{"id": "x", "item": "a"}, {"id": "x", "region": "a"}]


def test_a_value_for_a_column_that_the_table_does_not_have_is_named(home: Home, rejected: list[RejectedRow]) -> None:
    corrected = CorrectedRow("rows.csv:2", {"rejected_id": "of_events", "id": "x", "itme": "b"})
    with pytest.raises(
        SourceError, match=r"rows\.csv:2: column 3 is unknown; expected some of id, item; did you mean 'item'"
    ):
        sort_corrections(SPEC, home, [Match(rejected[0], corrected)])
