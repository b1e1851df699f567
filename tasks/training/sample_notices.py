"""What is to be known of a sample before its models are trusted, for the log, the summary and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.examples.positives import positives_notices
from tasks.examples.sample import SampleResult
from tasks.examples.sampling.notices import draw_notices
from tasks.training.train import small_populations

if TYPE_CHECKING:
    from tasks.spec.spec import Spec
    from tasks.store.run_files import RunFiles


def sample_notices(run: RunFiles, spec: Spec) -> list[str]:
    """Say what makes a run's sample less than it looks; nothing before there is one."""
    sample = SampleResult.read_if_valid(run.step_dir("sample") / "result.json")
    if sample is None:
        return []
    fallen = fallen_back(spec, sample)
    return [
        *positives_notices(sample.positives, len(spec.features)),
        *draw_notices(spec.sample, sample.strata, sample.new_strata),
        *([fallen] if fallen else []),
    ]


def fallen_back(spec: Spec, sample: SampleResult) -> str | None:
    """Name the populations that the model of everybody else ranks for; None if there are none."""
    small = small_populations(spec, sample)
    if spec.populations is None or not small:
        return None
    named = ", ".join(f"{name} ({groups:,} groups)" for name, groups in small.items())
    return (
        f"the model of everybody else ranks for the {spec.populations.by} {named}: fewer than "
        f"{spec.populations.min_groups:,} groups were drawn of each (`populations.min_groups`)"
    )
