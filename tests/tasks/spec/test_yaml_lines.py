"""Lines of keys, and what is wrong with a file before anyone looks at its meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.errors import SpecError
from tasks.spec.yaml_lines import nearest, read_document

TEXT = """\
# a comment on line 1
name: shop
rules:
  - {grade: 3, when: a}
  - grade: 1
    when: b
list: [x,
  y]
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "shop.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_key_and_item_has_its_line(tmp_path: Path) -> None:
    document = read_document(written(tmp_path, TEXT))

    assert document.value["rules"] == [{"grade": 3, "when": "a"}, {"grade": 1, "when": "b"}]
    assert document.lines == {
        (): 1,
        ("name",): 2,
        ("rules",): 3,
        ("rules", 0): 4, ("rules", 0, "grade"): 4, ("rules", 0, "when"): 4,
        ("rules", 1): 5, ("rules", 1, "grade"): 5, ("rules", 1, "when"): 6,
        ("list",): 7, ("list", 0): 7, ("list", 1): 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("rules", 1, "when"), 6),
        (("rules", "some_tag", 1, "when"), 6),
        (("rules", 1, "absent"), 5),
        (("absent",), 1),
        ((), 1),
    ],
)
def test_a_place_that_is_not_there_is_its_parent(tmp_path: Path, location: tuple[str | int, ...], line: int) -> None:
    path = written(tmp_path, TEXT)
    assert read_document(path).at(location) == f"{path}:{line}"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: the key 'a' stands twice, first on line 1"),
        ("a:\n  b: 1\n  b: 2\n", ":3: the key 'b' stands twice, first on line 2"),
        ("", ":1: expected a mapping of keys, like `name: streaming`"),
        ("- a\n", ":1: expected a mapping of keys, like `name: streaming`"),
        ("a: [1\nb: 2\n", ":2: not valid YAML: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", ":2: not valid YAML: found a tab character that violates indentation"),
        ("a: 1\n---\nb: 2\n", ":2: not valid YAML: but found another document"),
        ("a: !!python/object:os.system x\n", ":1: a tag (tag:yaml.org,2002:python/object:os.system) is not read here"),
        ("a: &x {b: *x}\n", ":1: an alias (*name) is not read here; write the value out"),
        ("a: &x [1]\nb: *x\n", ":2: an alias (*name) is not read here; write the value out"),
        ("? [a, b]\n: 1\n", ":1: a key must be a plain word; found a list or mapping"),
        ("<<: {a: 1}\n", ":1: a key must be a plain word; found '<<'"),
        ("a: 0\n1: a\n", ":2: a key must be a plain word; found '1'"),
        (b"a: \xff\n", ": expected UTF-8 text, found byte 0xff"),
        ("a: \x07\n", ":1: not valid YAML: unacceptable character #x0007: control characters are not"),
    ],
)
def test_a_file_that_is_no_mapping_of_keys(tmp_path: Path, text: str | bytes, error: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        read_document(path)
    assert str(caught.value).startswith(f"{path}{error}")


def test_a_day_stays_the_text_that_was_written(tmp_path: Path) -> None:
    assert read_document(written(tmp_path, "start: 2026-02-30\n")).value == {"start": "2026-02-30"}


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("2.5E4", 25000.0), ("1_000", 1000), ("1e", "1e")])
def test_numbers(tmp_path: Path, text: str, value: float | str) -> None:
    assert read_document(written(tmp_path, f"rate: {text}\n")).value == {"rate": value}


def test_an_absent_file_names_the_nearest(tmp_path: Path) -> None:
    written(tmp_path, TEXT)
    with pytest.raises(SpecError, match=r"shpo\.yaml: no such pipeline file; did you mean 'shop'\?$"):
        read_document(tmp_path / "shpo.yaml")
    with pytest.raises(SpecError, match=r"zzz\.yaml: no such pipeline file; .* has shop$"):
        read_document(tmp_path / "zzz.yaml")
    with pytest.raises(SpecError, match=r"no such pipeline file; .*/pipelines has online_retail, streaming$"):
        read_document(tmp_path / "nowhere" / "shop.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"is a folder, expected a pipeline file$"):
        read_document(tmp_path)


def test_nearest() -> None:
    assert nearest("ncdg", ["ndcg", "mrr"]) == "; did you mean 'ndcg'?"
    assert nearest("ncdg", ["zzz"]) == ""
    assert nearest("ncdg", []) == ""
