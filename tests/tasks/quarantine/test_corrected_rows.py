"""Files of corrected rows: three kinds, and what is wrong with one named by file and line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.cli.render.quarantine import rejected_rows_csv, rejected_rows_jsonl
from tasks.errors import SourceError
from tasks.quarantine.corrected_rows import CorrectedRow, match_rows, read_corrected_rows
from tasks.quarantine.rejected_rows import RejectedRow

DAY = date(2026, 2, 1)


def row(name: str, line: int | None = None, table: str = "events", day: date = DAY, **content: str) -> RejectedRow:
    import json

    return RejectedRow(name, table, "missing_id", day, line, None, json.dumps(content), "2026-02-01/1")


def test_the_kinds_of_files_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeffrejected_id,n,word\nx,1.5,\ny,2,"a,""b"""\n', encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(
        '{"rejected_id": "x", "n": 1.5, "word": null}\n\n{"rejected_id": "y", "n": 2, "word": "a,\\"b\\""}\n'
    )
    columns = {"rejected_id": ["x", "y"], "n": pa.array(["1.5", "2"]), "word": [None, 'a,"b"']}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    expected = [{"rejected_id": "x", "n": "1.5", "word": None}, {"rejected_id": "y", "n": "2", "word": 'a,"b"'}]
    for kind in ("csv", "jsonl", "parquet"):
        assert [one.values for one in read_corrected_rows(tmp_path / f"a.{kind}")] == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.xlsx", "", "ends in '.xlsx', expected .csv, .jsonl, .parquet"),
        ("a.csv", "a,b\n", "found no rows"),
        ("a.csv", "a,b\n1,2\n1\n", "a.csv:3: expected 2 fields, as in the header"),
        ("a.csv", "a,b\n1,2,3\n", "a.csv:2: expected 2 fields, as in the header"),
        ("a.csv", 'a,b\n1,"2\n', "not CSV"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', "a.jsonl:2: not JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected one flat object"),
        ("a.jsonl", '{"a": {"b": 1}}\n', "expected one flat object"),
        ("a.parquet", "nothing", "not a parquet file"),
    ],
)
def test_what_is_no_file_of_corrected_rows_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=said):
        read_corrected_rows(tmp_path / name)


def test_a_file_in_another_encoding_or_none_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a\ncaf\xe9\n")
    with pytest.raises(SourceError, match="not UTF-8 text"):
        read_corrected_rows(tmp_path / "a.csv")
    with pytest.raises(SourceError, match=r"no such file; `matinee quarantine show … --out b.csv` writes"):
        read_corrected_rows(tmp_path / "b.csv")


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1)


@example(values=["a\u2028b\u2029c\x85d"])  # line ends to Python's splitlines, but not to JSON or CSV
@given(values=st.lists(st.none() | text, min_size=1, max_size=4))
def test_what_show_writes_is_read_as_it_was(values: list[str | None], tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [row(f"x{n}", word=value) for n, value in enumerate(values)]  # type: ignore[arg-type]
    folder = tmp_path_factory.mktemp("files")
    for name, written in (("a.csv", rejected_rows_csv(rows)), ("a.jsonl", rejected_rows_jsonl(rows))):
        (folder / name).write_text(written, encoding="utf-8")
        matches = match_rows(read_corrected_rows(folder / name), rows, None)
        assert [(match.rejected.id, match.corrected.values["word"]) for match in matches] == [
            (f"x{n}", value) for n, value in enumerate(values)
        ]


def test_columns_of_files_written_before_their_renaming_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("refused_id,refused_day,refused_by_me\nx,2026-02-01,1\n")
    (corrected,) = read_corrected_rows(tmp_path / "a.csv")
    assert corrected.values == {"rejected_id": "x", "rejected_day": "2026-02-01", "refused_by_me": "1"}
    assert match_rows([corrected], [row("x")], "refused_id")[0].rejected.id == "x"


def test_a_row_is_found_by_its_id_its_line_or_a_column() -> None:
    rows = [row("x", 3, word="a"), row("y", 4, word="b")]
    for values, match in (({"rejected_id": "y"}, None), ({"line_number": "4"}, None), ({"word": "b"}, "word")):
        (matched,) = match_rows([CorrectedRow("m:2", dict(values))], rows, match)
        assert matched.rejected.id == "y"


def test_table_and_day_tell_rows_with_equal_lines_apart() -> None:
    rows = [row("x", 3), row("y", 3, table="users"), row("z", 3, day=date(2026, 2, 2))]
    values: dict[str, str | None] = {"line_number": "3", "rejected_table": "events", "rejected_day": "2026-02-02"}
    (matched,) = match_rows([CorrectedRow("m:2", values)], rows, None)
    assert matched.rejected.id == "z"


@pytest.mark.parametrize(
    ("corrected", "by", "said"),
    [
        ([{"word": "a"}], None, "found no column rejected_id or line_number, expected it to know which"),
        ([{"word": "a"}], "wort", "found no column wort, .*did you mean 'word'"),
        ([{"rejected_id": "q"}], None, "m:0: rejected_id 'q': no row in quarantine has it"),
        ([{"line_number": "3"}], None, "m:0: line_number '3': 2 rejected rows have it"),
        ([{"rejected_id": "x"}, {"rejected_id": "x"}], None, "m:1: rejected_id 'x': found twice"),
    ],
)
def test_rows_that_match_none_or_several_are_named(
    corrected: list[dict[str, str | None]], by: str | None, said: str
) -> None:
    rows = [row("x", 3), row("y", 3)]
    with pytest.raises(SourceError, match=said):
        match_rows([CorrectedRow(f"m:{n}", values) for n, values in enumerate(corrected)], rows, by)
