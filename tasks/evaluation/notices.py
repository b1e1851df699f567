"""What makes the comparisons of a run less than they look, for the summary and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.evaluation.baselines import BASELINES_FILE, Baselines, notices
from tasks.evaluation.results import STEP
from tasks.evaluation.single_features import SINGLE_FEATURES_FILE, SingleFeatures, feature_notices

if TYPE_CHECKING:
    from tasks.spec.spec import Spec
    from tasks.store.run_files import RunFiles


def comparison_notices(run: RunFiles, spec: Spec) -> tuple[str, ...]:
    """Say what is to be known of the baselines and of the features alone; nothing before they were compared."""
    folder = run.step_dir(STEP)
    baselines = Baselines.read_if_valid(folder / BASELINES_FILE)
    single = SingleFeatures.read_if_valid(folder / SINGLE_FEATURES_FILE)
    of_features = () if single is None else feature_notices(spec, single)
    return (*(() if baselines is None else notices(spec, baselines)), *of_features)
