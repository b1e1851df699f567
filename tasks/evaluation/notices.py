"""What makes the comparisons of a run less than they look, for the summary and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.evaluation.baselines import BASELINES_FILE, Baselines, notices
from tasks.evaluation.results import STEP
from tasks.evaluation.single_features import SINGLE_FEATURES_FILE, SingleFeatures, feature_notices
from tasks.training.own_models import OWN_MODELS_FILE, own_model_notices

if TYPE_CHECKING:
    from tasks.spec.spec import Spec
    from tasks.store.run_files import RunFiles


def comparison_notices(run: RunFiles, spec: Spec) -> tuple[str, ...]:
    """Say what is to be known of the baselines, the features alone and the populations' own models, once compared."""
    folder = run.step_dir(STEP)
    baselines = Baselines.read_if_valid(folder / BASELINES_FILE)
    single = SingleFeatures.read_if_valid(folder / SINGLE_FEATURES_FILE)
    of_features = () if single is None else feature_notices(spec, single)
    of_baselines = () if baselines is None else notices(spec, baselines)
    return (*of_baselines, *of_features, *own_model_notices(spec, folder / OWN_MODELS_FILE))
