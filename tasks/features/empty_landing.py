"""A source's staging held against an empty landing: what a build would say of its SQL, before there are any data."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tasks.errors import BuildError
from tasks.features import parse_cache
from tasks.features.build import build_staging
from tasks.spec.spec import Spec
from tasks.store.files import Home

# Their contracts name each column that staging must give, and its type.
CANONICAL = "+users +items +interactions +impressions +rejected_rows"


def check_staging(spec: Spec, home: Home) -> None:
    """Build the canonical tables of a pipeline without a row, somewhere else, and throw them away.

    Args:
        spec: the pipeline.
        home: its state, of which only dbt's parse of the project is used, where there is one.

    Raises:
        BuildError: a model is missing, or one gives other columns or types than its contract; names each.
    """
    with tempfile.TemporaryDirectory(prefix="matinee-validate-") as folder:
        scratch = Home(Path(folder))
        parse_cache.copy(home, scratch, spec.name)
        try:
            build_staging(spec, scratch, (), Path(folder) / "dbt.log", select=CANONICAL)
        except BuildError as error:
            # The message has dbt's words; the log it also names is gone before anybody can read it.
            raise BuildError(re.sub(rf" \(dbt's log: {re.escape(folder)}[^)]*\)", "", str(error))) from None
