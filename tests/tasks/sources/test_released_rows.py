"""Releases in the landing: a mended row gives the bytes that a corrected file would have given."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import DamagedFile, LandingError, SourceError
from tasks.quarantine import release as release_module
from tasks.quarantine.corrected_rows import CorrectedRow, Match
from tasks.quarantine.rejected_rows import RejectedRow
from tasks.quarantine.release import Proposal, finish_releases, propose_rows, release
from tasks.quarantine.revalidate import Rejection, rows_as_json
from tasks.sources.land import land_range, open_source
from tasks.sources.rejects import REJECTS
from tasks.sources.released_rows import releases_of, with_corrections
from tasks.spec.spec import Spec
from tasks.store.files import Home, read_json
from tasks.store.partitions import partition_dir, read_manifests, store
from tests.tasks.handmade import spec_of
from tests.tasks.without_dbt import HEADER, SHOP, january

DAY = january(4)
GOOD = "500001,20001,MUG,1,2011-01-04 10:00:00,2.5,12001,France"
NOBODY = "500002,20002,CUP,1,2011-01-04 11:00:00,2.5,,France"
MENDED = "500002,20002,CUP,1,2011-01-04 11:00:00,2.5,12002,France"
TORN = "500003,20003,JUG,one,2011-01-04 12:00:00,2.5,12003,France"
WHOLE = "500003,20003,JUG,1,2011-01-04 12:00:00,2.5,12003,France"
RETAIL = spec_of(**SHOP)
ROOT = Path(__file__).parents[3]


class Shop:
    """A shop with one day, in a folder."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.home, self.files = Home(folder / "home"), folder / "files"
        self.files.mkdir(parents=True)
        self.write(*lines)
        self.land()

    def write(self, *lines: str) -> None:
        (self.files / f"{DAY}.csv").write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")

    def land(self) -> None:
        land_range(open_source(RETAIL, self.home, self.files), self.home, DAY, DAY)

    def landed(self, table: str = "lines") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = pq.read_table(self.file(table)).to_pylist()
        return rows

    def file(self, table: str) -> Path:
        (part,) = read_manifests(self.home, "online_retail", [table], DAY, DAY, verify=True)
        return part.path

    def sha256(self) -> dict[str, str]:
        parts = read_manifests(self.home, "online_retail", ["lines", REJECTS], DAY, DAY)
        return {part.table: part.sha256 for part in parts}

    def rejected(self, line: int) -> RejectedRow:
        """The landed row, or the unreadable line, with this number, as quarantine has it."""
        for rule, table, number in (("no_customer", "lines", "line_number"), ("unparseable", REJECTS, "line")):
            rows = pq.read_table(self.file(table))
            for place, row in enumerate(rows.to_pylist()):
                if row[number] == line:
                    like = "{" + ", ".join(f'"{name}": 0' for name in rows.column_names if name != "ds") + "}"
                    return RejectedRow(
                        f"row-{line}", "lines", rule, DAY, line, row.get("error"), rows_as_json(rows, like)[place], "1"
                    )
        raise AssertionError(line)

    def propose(self, *corrections: tuple[int, Mapping[str, str | None]]) -> Proposal:
        matches = [
            Match(self.rejected(line), CorrectedRow("corrected.csv:2", dict(values))) for line, values in corrections
        ]
        return propose_rows(RETAIL, self.home, open_source(RETAIL, self.home, self.files), matches, [])

    def release(self, *corrections: tuple[int, Mapping[str, str | None]]) -> Proposal:
        proposal = self.propose(*corrections)
        release(RETAIL, self.home, open_source(RETAIL, self.home, self.files), proposal, "ann", "the log says so")
        return proposal


CUSTOMER = {"customer_id": "12002"}
LINE = {"raw_line": WHOLE}


@pytest.fixture(autouse=True)
def everything_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What staging says of mended rows is tested in test_release.py; here it is what gets landed."""
    monkeypatch.setattr(release_module, "rejected_now", lambda *_: {})


def test_mended_rows_and_lines_give_the_bytes_of_a_corrected_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a", NOBODY, TORN, GOOD)
    shop.release((2, CUSTOMER), (3, LINE))
    corrected = Shop(tmp_path / "b", MENDED, WHOLE, GOOD)
    assert shop.sha256() == corrected.sha256()
    assert [row["customer_id"] for row in shop.landed()] == ["12002", "12003", "12001"]
    assert shop.landed(REJECTS) == []


def test_a_release_one_after_the_other_ends_as_both_at_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a", NOBODY, TORN, GOOD)
    shop.release((3, LINE))
    shop.release((2, CUSTOMER))
    both = Shop(tmp_path / "b", NOBODY, TORN, GOOD)
    both.release((2, CUSTOMER), (3, LINE))
    assert shop.sha256() == both.sha256()
    assert [one.folder.name[:4] for one in releases_of(shop.home, "online_retail")] == ["0001", "0002"]


def test_who_when_why_and_what_is_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY, TORN)
    shop.release((2, CUSTOMER), (3, LINE))
    (made,) = releases_of(shop.home, "online_retail")
    assert (made.record.who, made.record.why) == ("ann", "the log says so")
    assert made.record.rows == (("lines", "no_customer", 1), ("lines", "unparseable", 1))
    assert made.record.touches == {"lines": {DAY: 2}, "_rejects": {DAY: 1}}
    (mend,) = [row for row in made.corrections("lines").to_pylist() if row["before"]]
    assert (mend["before"]["customer_id"], mend["after"]["customer_id"]) == (None, "12002")


def test_landing_again_keeps_a_release(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY, GOOD)
    shop.release((2, CUSTOMER))
    before = shop.sha256()
    shop.land()
    assert shop.sha256() == before
    assert len(read_json(shop.file("lines").parent / "manifest.json")["landings"]) == 2, "what was refused stays there"


def test_a_landing_made_from_nothing_has_the_released_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY, TORN, GOOD)
    shop.release((2, CUSTOMER), (3, LINE))
    before = shop.sha256()
    for table in ("lines", REJECTS):
        folder = partition_dir(shop.home, "online_retail", table, DAY)
        for path in folder.iterdir():
            path.unlink()
    shop.land()
    assert shop.sha256() == before


def test_a_source_that_sends_the_row_once_more_keeps_it_mended(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a", NOBODY, TORN, GOOD)
    shop.release((2, CUSTOMER), (3, LINE))
    shop.write(NOBODY, TORN, GOOD, GOOD)
    shop.land()
    assert shop.sha256() == Shop(tmp_path / "b", MENDED, WHOLE, GOOD, GOOD).sha256()


def test_a_source_that_corrects_itself_is_believed(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a", NOBODY, TORN, GOOD)
    shop.release((2, CUSTOMER), (3, LINE))
    lines = [NOBODY.replace(",,", ",12999,"), WHOLE.replace("JUG,1", "JUG,7"), GOOD]
    shop.write(*lines)
    shop.land()
    assert shop.sha256() == Shop(tmp_path / "b", *lines).sha256()


def test_a_line_that_the_source_takes_back_is_not_put_in(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a", NOBODY, TORN)
    shop.release((3, LINE))
    shop.write(NOBODY)
    shop.land()
    assert shop.sha256() == Shop(tmp_path / "b", NOBODY).sha256()


def test_the_manifest_still_counts_the_lines_that_are_left(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY, TORN, GOOD)
    shop.release((2, CUSTOMER))
    (part,) = read_manifests(shop.home, "online_retail", ["lines"], DAY, DAY)
    assert (part.rows, part.rejects) == (2, 1)


def test_of_equal_rows_each_mend_takes_one(tmp_path: Path) -> None:
    """In a source without line numbers, rows may be alike in everything."""
    rows = pa.table({"n": pa.array([1, 2, 2, 2], pa.int64()), "word": ["a", "b", "b", "b"]})
    kind = pa.struct(list(rows.schema))
    mends = pa.table(
        {
            "id": ["x", "y"],
            "line": pa.array([None, None], pa.int64()),
            "raw": pa.array([None, None], pa.string()),
            "before": pa.array([{"n": 2, "word": "b"}] * 2, kind),
            "after": pa.array([{"n": 3, "word": "x"}, {"n": 4, "word": "y"}], kind),
        }
    )
    assert with_corrections(rows, mends, set())["n"].to_pylist() == [1, 2, 4, 3]


def test_released_rows_are_said_to_be(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY, TORN)
    row, line = shop.rejected(2), shop.rejected(3)
    shop.release((2, CUSTOMER), (3, LINE))
    before = shop.sha256()
    source = open_source(RETAIL, shop.home, shop.files)
    again = [Match(row, CorrectedRow("m.csv:2", CUSTOMER)), Match(line, CorrectedRow("m.csv:3", LINE))]
    proposal = propose_rows(RETAIL, shop.home, source, again, [])
    name = releases_of(shop.home, "online_retail")[0].folder.name
    assert (proposal.accepted, proposal.rejected, proposal.released) == ([], [], [(row, name), (line, name)])
    assert shop.sha256() == before


def test_a_row_that_was_landed_otherwise_since_is_an_error(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY)
    row = shop.rejected(2)
    shop.write(NOBODY.replace("CUP", "PLATE"))
    shop.land()
    source = open_source(RETAIL, shop.home, shop.files)
    with pytest.raises(
        LandingError, match=r"lines of 2011-01-04: 1 rejected rows, the first is row-2, are no longer in"
    ):
        propose_rows(RETAIL, shop.home, source, [Match(row, CorrectedRow("m.csv:2", CUSTOMER))], [])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"quantity": "many"}, "corrected.csv:2: quantity: found 'many', expected INTEGER"),
        ({"invoice_date": "2011-02-30"}, "invoice_date: found '2011-02-30', expected TIMESTAMP"),
        ({"invoice_date": "infinity"}, "invoice_date: found 'infinity', expected TIMESTAMP"),
        ({"customer": "1"}, "column 1 is unknown.*did you mean 'customer_id'"),
        ({"line_number": "7"}, "found no column to copy"),
    ],
)
def test_values_that_a_column_cannot_hold_are_refused(tmp_path: Path, values: dict[str, str], said: str) -> None:
    shop = Shop(tmp_path, NOBODY)
    with pytest.raises(SourceError, match=said):
        shop.propose((2, values))


def test_mended_times_with_an_offset_are_utc(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY)
    (mend,) = shop.propose((2, {"invoice_date": "2011-01-04T12:00:00+02:00"})).corrections
    assert mend.after["invoice_date"].isoformat() == "2011-01-04T10:00:00"


@pytest.mark.parametrize("text", [TORN, "", "just words"])
def test_lines_that_cannot_be_read_again_stay(tmp_path: Path, text: str) -> None:
    shop = Shop(tmp_path, NOBODY, TORN)
    proposal = shop.propose((3, {"raw_line": text}))
    assert (proposal.accepted, proposal.corrections) == ([], [])
    assert [row.line for row, _ in proposal.rejected] == [3]


def test_what_was_not_changed_is_not_released(tmp_path: Path) -> None:
    shop = Shop(tmp_path, NOBODY)
    proposal = shop.propose((2, {"description": "CUP", "customer_id": None}))
    assert (proposal.accepted, [rule for _, rule in proposal.rejected]) == ([], ["no_customer"])


def test_of_mended_rows_that_are_alike_the_first_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, home = spec_of(), Home(tmp_path)
    rows = pa.table({"item_id": pa.array([None, None], pa.string()), "title": ["Heat", "Heat"]})
    store(partition_dir(home, spec.source_name, "items", DAY), rows, inputs="x")
    text = '{"item_id":null,"title":"Heat"}'
    rejected = [RejectedRow(name, "items", "missing_id", DAY, None, None, text, "1") for name in ("a", "a-2")]
    rejections = {("items", DAY): [Rejection("exact_duplicate", '{"item_id":"i1","title":"Heat"}')]}
    monkeypatch.setattr(release_module, "rejected_now", lambda *_: rejections)
    matches = [Match(row, CorrectedRow("m", {"item_id": "i1"})) for row in rejected]
    proposal = propose_rows(spec, home, open_source(spec, home), matches, rejected)
    assert (proposal.accepted, proposal.rejected) == ([rejected[0]], [(rejected[1], "exact_duplicate")])
    assert proposal.touches == {"items": {DAY: 1}}
    assert proposal.newly_rejected == 0


LOG: dict[str, Any] = {
    **SHOP,
    "name": "films",
    "start": "2000-01-01",
    "end": "2000-12-31",
    "source": {"type": "files", "dataset": "ml_latest_small"},
    "label": {"horizon": "1d", "lateness": "0d", "grades": [{"grade": 1, "when": "kind = 'rating'"}]},
}


def test_a_mended_line_of_a_file_for_all_days_lands_on_its_own_day(tmp_path: Path) -> None:
    films = spec_of(**LOG)
    first, day = date(1996, 3, 29), date(2000, 1, 2)

    def landed(folder: Path, line: str) -> tuple[Home, Any]:
        folder.mkdir()
        (folder / "movies.csv").write_text("movieId,title,genres\n1,Heat,Drama\n")
        (folder / "ratings.csv").write_text(f"userid,movieid,rating,timestamp\n1,1,4,946771200\n{line}\n")
        home = Home(folder / "home")
        source = open_source(films, home, folder)
        land_range(source, home, day, day)
        return home, source

    def sha256(home: Home) -> list[tuple[str, date, str]]:
        parts = read_manifests(home, "ml_latest_small", ["ratings", REJECTS], None, day)
        return [(part.table, part.ds, part.sha256) for part in parts]

    home, source = landed(tmp_path / "a", "2,1,four,946771201")
    (part, *_) = read_manifests(home, "ml_latest_small", [REJECTS], first, first)
    rows = pq.read_table(part.path)
    text = rows_as_json(rows, '{"table_name": 0, "line": 0, "column_name": 0, "error": 0, "raw": 0}')[0]
    row = RejectedRow("row", "ratings", "unparseable", first, 3, "", text, "1")
    proposal = propose_rows(films, home, source, [Match(row, CorrectedRow("m", {"raw_line": "2,1,4,946771201"}))], [])
    assert [(mend.ds, mend.after["userid"]) for mend in proposal.corrections] == [(day, "2")]
    release(films, home, source, proposal, "ann", "a typing error")
    other, _ = landed(tmp_path / "b", "2,1,4,946771201")
    assert sha256(home) == sha256(other)


# -------------------------------------------------------------------------------------------- nothing is lost

words = st.text("abc,\"' 19", max_size=12)
kinds = st.sampled_from([GOOD, NOBODY, TORN, ""]) | words


def accounted(shop: Shop) -> list[int]:
    """The line numbers of everything that lies in the landing."""
    # A field in quotes may hold line breaks: its record has all the lines up to the closing quote.
    rows = [(row["line_number"], [text for text in row.values() if isinstance(text, str)]) for row in shop.landed()]
    rows += [(row["line"], [row["raw"]]) for row in shop.landed(REJECTS)]
    return sorted(line + n for line, texts in rows for n in range(1 + sum(text.count("\n") for text in texts)))


@given(lines=st.lists(kinds, min_size=1, max_size=6), chosen=st.sets(st.integers(2, 7)))
@settings(max_examples=25)
def test_every_line_is_landed_or_rejected_whatever_is_released(lines: Sequence[str], chosen: set[int]) -> None:
    with TemporaryDirectory() as folder:
        shop = Shop(Path(folder) / "a", *lines)
        every = list(range(2, 2 + len(lines)))
        assert accounted(shop) == every
        unread = {row["line"] for row in shop.landed(REJECTS)} & chosen
        mends: list[tuple[int, Mapping[str, str | None]]] = [(line, LINE) for line in sorted(unread)]
        mends += [
            (row["line_number"], {"customer_id": "9"})
            for row in shop.landed()
            if row["line_number"] in chosen and row["customer_id"] is None
        ]
        if not mends:
            return
        records = len(shop.landed()) + len(shop.landed(REJECTS))
        many = any("\n" in str(row["raw"]) for row in shop.landed(REJECTS))
        shop.release(*mends)
        assert len(shop.landed()) + len(shop.landed(REJECTS)) == records
        if many:
            return  # corrected to one line, the record would move the lines of a corrected file
        corrected = [
            WHOLE if n in unread else (line.replace(",,", ",9,") if n in chosen and line == NOBODY else line)
            for n, line in enumerate(lines, 2)
        ]
        assert shop.sha256() == Shop(Path(folder) / "b", *corrected).sha256()


# -------------------------------------------------------------------------------------------- killed

KILL = """
import os, signal, sys
from pathlib import Path
from tasks.quarantine import release as module
from tests.tasks.sources import test_released_rows as tests

module.rejected_now = lambda *_: {}
shop = object.__new__(tests.Shop)
shop.home, shop.files = tests.Home(Path(sys.argv[1]) / "home"), Path(sys.argv[1]) / "files"
points, rename = iter(range(int(sys.argv[2]))), Path.rename

def mortal(path, target):
    if next(points, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, target)

Path.rename = mortal
shop.release((2, tests.CUSTOMER), (3, tests.LINE))
"""


@pytest.mark.parametrize("points", [0, 1, 2, 3, 4, 6])
def test_killed_anywhere_a_release_is_not_made_or_finished_by_the_next_landing(tmp_path: Path, points: int) -> None:
    shop = Shop(tmp_path / "a", NOBODY, TORN, GOOD)
    before = shop.sha256()
    died = subprocess.run(
        [sys.executable, "-c", KILL, str(tmp_path / "a"), str(points)], cwd=ROOT, check=False, timeout=120
    )
    assert died.returncode == -signal.SIGKILL
    made = releases_of(shop.home, "online_retail")
    assert len(made) == (points > 2)
    finish_releases(shop.home, open_source(RETAIL, shop.home, shop.files))
    if made:
        assert shop.sha256() == Shop(tmp_path / "b", MENDED, WHOLE, GOOD).sha256()
    else:
        assert shop.sha256() == before


def test_the_bundled_sources_have_no_releases_to_begin_with(tmp_path: Path) -> None:
    spec: Spec = spec_of()
    assert releases_of(Home(tmp_path), spec.source_name) == []


@pytest.mark.parametrize("name", ["lines.parquet", "release.json", "digests.json"])
def test_a_flipped_bit_is_no_other_release(tmp_path: Path, name: str) -> None:
    shop = Shop(tmp_path, NOBODY, TORN, GOOD)
    shop.release((2, CUSTOMER))
    (release,) = releases_of(shop.home, "online_retail")
    content = bytearray((release.folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (release.folder / name).write_bytes(content)
    with pytest.raises(DamagedFile, match=rf"{release.folder / name}: "):
        shop.land()
