"""The log of the serving application, as the monitor reads it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import MatineeError
from tasks.monitoring.serving_log import Answer, read_answers, served_dir, served_files
from tasks.store.files import Home

DAY = date(2026, 3, 1)


def answer(hour: int, user: str = "ana", **change: Any) -> Answer:
    fields = {"at": datetime(2026, 3, 1, hour, tzinfo=UTC), "version": "v", "as_of": date(2026, 2, 28)}
    fields |= {"user_id": user, "population": "*", "k": 2, "given": False, "items": ("a", "b")}
    return Answer.model_validate({**fields, "scores": (2.0, 1.0), "features": {"x": (None, 0.5)}, **change})


def write(path: Path, *answers: Answer) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in answers))
    return path


def test_answers_of_several_processes_are_read_in_order_of_time(tmp_path: Path) -> None:
    first = write(tmp_path / "1.jsonl", answer(9), answer(11))
    second = write(tmp_path / "2.jsonl", answer(10, "bob"), answer(9, "zoe"))

    assert [(one.at.hour, one.user_id) for one in read_answers([first, second])] == [
        (9, "ana"),
        (9, "zoe"),
        (10, "bob"),
        (11, "ana"),
    ]


def test_only_complete_files_of_the_day_are_read(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = served_dir(home, "tiny", DAY)
    kept = write(folder / "1.jsonl", answer(9))
    write(folder / ".2.jsonl", answer(9))
    write(served_dir(home, "tiny", date(2026, 3, 2)) / "1.jsonl", answer(9))

    assert served_files(home, "tiny", DAY) == [kept]
    assert served_files(home, "other", DAY) == []


def test_each_item_has_a_value_of_each_feature() -> None:
    with pytest.raises(ValueError, match="x: found 1 values, expected 2, one for each item"):
        answer(9, features={"x": (1.0,)})


def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = write(tmp_path / "1.jsonl", answer(9))
    path.write_text(f"{path.read_text()}nonsense\n")

    with pytest.raises(MatineeError, match=r"1\.jsonl:2: line: "):
        read_answers([path])
