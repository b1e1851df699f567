"""Populations without a model of their own are named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tasks.store.run_files import Attempt
from tasks.training.sample_notices import fallen_back, sample_notices
from tests.tasks.handmade import sample_of, spec_of

SPEC = spec_of(populations={"by": "region", "min_groups": 16})


def test_populations_with_too_few_groups_are_named_with_their_number() -> None:
    assert fallen_back(SPEC, sample_of({"US": 21, "IN": 11, "BR": 16, "DE": 8, "unknown": 1})) == (
        "the model of everybody else ranks for the region DE (8 groups), IN (11 groups): fewer than 16 groups were "
        "drawn of each (`populations.min_groups`)"
    )
    assert fallen_back(SPEC, sample_of({"US": 21})) is None
    assert fallen_back(spec_of(populations=None), sample_of({"US": 1})) is None


def test_a_run_says_it_once_there_is_a_sample(tmp_path: Path) -> None:
    run = Attempt("tiny", date(2026, 2, 20), tmp_path)
    assert sample_notices(run, SPEC) == []
    sample_of({"US": 21, "DE": 8}).write(run.step_dir("sample") / "result.json")
    (said,) = sample_notices(run, SPEC)
    assert "DE (8 groups)" in said
