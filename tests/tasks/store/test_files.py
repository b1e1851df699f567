"""Names and places of state, its one form, and damage that is noticed at reading."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sealed import sealed
from tasks.errors import MatineeError
from tasks.store.files import (
    DIGESTS,
    Home,
    canonical_json,
    checked_file,
    default_home,
    digest,
    json_number,
    read_json,
    safe_name,
    sha256_file,
    write_digests,
    write_json,
)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../a", "/etc", ".hidden", "a b", "a\n", "a\0", "ä", "-rf"])
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    with pytest.raises(MatineeError, match="cannot name a folder: expected letters, digits and") as caught:
        safe_name(name)
    assert repr(name) in str(caught.value)


@given(st.text(max_size=12))
def test_a_safe_name_is_one_component(name: str) -> None:
    try:
        safe_name(name)
    except MatineeError:
        return
    assert Path("folder", name).resolve().parent == Path("folder").resolve()


def test_places() -> None:
    home = Home(Path("/var/matinee"))

    assert home.landing("shop") == Path("/var/matinee/landing/shop")
    assert home.warehouse("shop") == Path("/var/matinee/warehouse/shop.duckdb")
    assert home.run_dir("shop", date(2026, 2, 28), "1") == Path("/var/matinee/runs/shop/2026-02-28/1")
    assert home.retrieval("shop") == Path("/var/matinee/retrieval/shop")
    assert home.registry("shop") == Path("/var/matinee/registry/shop")
    assert home.quarantine("shop") == Path("/var/matinee/quarantine/shop")


@pytest.mark.parametrize("place", ["landing", "warehouse", "retrieval", "registry", "quarantine"])
def test_every_place_refuses_names_that_escape(place: str) -> None:
    with pytest.raises(MatineeError, match=r"'\.\./\.\.' cannot name a folder"):
        getattr(Home(Path("/var/matinee")), place)("../..")


def test_the_home_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MATINEE_HOME", str(tmp_path / "state"))
    assert default_home().root == tmp_path / "state"
    monkeypatch.delenv("MATINEE_HOME")
    monkeypatch.chdir(tmp_path)
    assert default_home().root == tmp_path / "var"


def test_canonical_json_has_one_form() -> None:
    assert canonical_json({"b": date(2026, 2, 28), "a": [1, "é"]}) == (
        '{\n "a": [\n  1,\n  "é"\n ],\n "b": "2026-02-28"\n}\n'
    )
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"path": Path("x")}])
def test_what_has_no_json_form_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "a.json", value)
    assert list(tmp_path.iterdir()) == []


def test_reading_json_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(MatineeError, match=r"a\.json: no such file; has the step that writes it run\?"):
        read_json(path)
    path.write_text("{")
    with pytest.raises(MatineeError, match=r"a\.json: not valid JSON \(line 1, column 2: Expecting property name"):
        read_json(path)
    path.write_bytes(b"\xff")
    with pytest.raises(MatineeError, match=r"a\.json: not valid JSON"):
        read_json(path)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("value", "digits", "number"),
    [(math.nan, None, None), (-math.inf, 2, None), (None, None, None), (0.123456, 2, 0.12), (3, None, 3.0)],
)
def test_numbers_in_json_are_finite(value: float | None, digits: int | None, number: float | None) -> None:
    assert json_number(value, digits) == number


def test_a_file_that_was_changed_since_is_not_given_out(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.npz").write_bytes(b"abc")
    (tmp_path / "below" / "b.npz").write_bytes(b"def")
    write_digests(tmp_path)
    assert checked_file(tmp_path, "a.npz") == tmp_path / "a.npz"
    assert checked_file(tmp_path, "below/b.npz") == tmp_path / "below" / "b.npz"
    (tmp_path / "a.npz").write_bytes(b"abb")
    with pytest.raises(
        MatineeError, match=rf"a\.npz: found sha256 \w+, expected \w+.* delete the folder {tmp_path.name}"
    ):
        checked_file(tmp_path, "a.npz")
    (tmp_path / "new.npz").touch()
    with pytest.raises(MatineeError, match="expected None"):
        checked_file(tmp_path, "new.npz")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(MatineeError, match=r"a\.npz: found sha256 of no file, expected \w+ .*; delete the folder"):
        checked_file(tmp_path, "a.npz")
    (tmp_path / DIGESTS).write_text("[]")
    with pytest.raises(MatineeError, match=r"digests\.json: found no checksum, expected one.*; delete the folder"):
        checked_file(tmp_path, "a.npz")
    write_json(tmp_path / DIGESTS, sealed({"a.npz": 1}))
    with pytest.raises(MatineeError, match=r"digests\.json: expected the sha256 of each file by its name; delete the"):
        checked_file(tmp_path, "a.npz")


DAMAGED = {
    b"": "the file is empty",
    b"  \n": "the file is empty",
    b"\xff\xfe": "byte 0 is no UTF-8",
    b'{"a": 1': "line 1, column 8: Expecting ',' delimiter",
    b"root:x:0:0:secret": "line 1, column 1: Expecting value",
    b"[" * 100_000: "nested too deeply",
    b"9" * 10_000: "a number is too long",
}


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_json_is_refused_without_a_word_of_its_content(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "champion.json"
    path.write_bytes(content)
    with pytest.raises(MatineeError) as caught:
        read_json(path, "restore it")
    assert str(caught.value) == f"{path}: not valid JSON ({DAMAGED[content]}); restore it"


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MatineeError, match=r"gone\.json: no such file; has the step that writes it run\?$"):
        read_json(tmp_path / "gone.json")
    with pytest.raises(MatineeError, match=r"gone\.json: no such file; restore it$"):
        read_json(tmp_path / "gone.json", "restore it")
    with pytest.raises(MatineeError, match=r"is a folder, expected a file; remove it, then restore it$"):
        read_json(tmp_path, "restore it")
