"""Few positives: counted in the files of a sample, and said by the number of features and of lists."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.examples.positives import Positives, count_positives, positives_notices, positives_of, too_few_to_learn
from tests.tasks.handmade import examples, group


def write(folder: Path, part: str, *grades: list[int]) -> None:
    (folder / "sample").mkdir(exist_ok=True)
    rows = examples(*(group(f"{part}{n}", "ana", of_list) for n, of_list in enumerate(grades)))
    pq.write_table(rows, folder / "sample" / f"{part}.parquet")


def test_examples_and_lists_are_counted_over_files(tmp_path: Path) -> None:
    write(tmp_path, "train", [0, 2, 1], [0, 0])
    write(tmp_path, "validation", [1])
    paths = [tmp_path / "sample" / f"{part}.parquet" for part in ("train", "validation")]
    assert count_positives(paths) == Positives(examples=3, lists=2, all_lists=3)


@pytest.mark.parametrize(("positives", "features", "few"), [(9, 1, True), (10, 1, False), (39, 12, True), (0, 1, True)])
def test_ten_for_each_feature_are_enough(positives: int, features: int, few: bool) -> None:
    said = too_few_to_learn(positives, features)
    assert (said is not None) == few
    if said:
        assert said.startswith(f"few positives: {positives} examples with a grade above 0, fewer than 10 for each of ")


def test_a_sample_is_told_of_both_windows(tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    assert positives_of(tmp_path / "sample") == {}
    write(tmp_path, "train", [1], [0, 3])
    write(tmp_path, "test", *[[0]] * 4, [1])
    learn, evaluate = positives_notices(positives_of(tmp_path / "sample"), 1)
    assert learn.startswith(
        "few positives: 2 examples with a grade above 0, fewer than 10 for each of 1 feature, in 2 lists to learn from"
    )
    assert evaluate.startswith("few lists to evaluate on: 1 of 5 have an example with a grade above 0")
    write(tmp_path, "train", *[[1]] * 10)
    write(tmp_path, "test", *[[1]] * 100)
    assert positives_notices(positives_of(tmp_path / "sample"), 1) == []
