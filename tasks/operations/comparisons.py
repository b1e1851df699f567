"""What the data that is there says about a pipeline file's comparisons: `matinee validate`.

Two things are looked at, if they are there: the labels as they are built, and the last run that was evaluated by the
same rule for seen items. Nothing is built or measured for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tasks.errors import MatineeError
from tasks.evaluation import results as evaluation
from tasks.evaluation.baselines import BASELINES_FILE, Baselines, notices, unfair_candidates
from tasks.examples import queries
from tasks.features.build import code_of_tables
from tasks.features.declared_kinds import absence, absent_kinds
from tasks.features.engines import warehouse_of
from tasks.features.ledger import CODE
from tasks.features.warehouse import Tables, TablesInUse

if TYPE_CHECKING:
    from tasks.spec.spec import Spec
    from tasks.store.files import Home

CUTS = 30
"""The latest cuts whose labels are looked at: enough to say, and read in a moment."""
PATIENCE = 2
"""Seconds to wait for somebody who is building."""


def comparison_notices(spec: Spec, home: Home) -> list[str]:
    """Say what makes a pipeline's comparisons less than they look, as far as its data shows; nothing without data."""
    unfair = _of_labels(spec, home)
    run, baselines = _last_evaluated(spec, home)
    of_run = [] if baselines is None else notices(spec, baselines)
    # The labels say it of more cuts than the run does.
    if unfair and baselines is not None and unfair_candidates(spec, baselines.relevant, baselines.repeated):
        of_run = of_run[1:]
    kinds = _of_kinds(spec, home)
    return [
        *([unfair] if unfair else []),
        *([kinds] if kinds else []),
        *(f"{text} (as measured by the run of {run})" for text in of_run),
    ]


def _of_labels(spec: Spec, home: Home) -> str | None:
    """Look at the labels that are built: does any repeat what its user had seen?"""

    def look(tables: Tables) -> str | None:
        cuts = sorted(day for model, _, day in tables.ledger() if model == "labels")[-CUTS:]
        if not cuts:
            return None
        tables.create("seen_labels", queries.seen_among(spec, "labels", cuts))
        ((relevant, repeated),) = tables.rows(queries.repeats(cuts))
        return unfair_candidates(spec, relevant, repeated)

    return _look(spec, home, "whether the label repeats items", look) if spec.candidates.seen == "keep" else None


def _of_kinds(spec: Spec, home: Home) -> str | None:
    """Look at the interactions that are built: is there one of each declared kind?"""
    declared = spec.interactions.kinds

    def look(tables: Tables) -> str | None:
        absent = absent_kinds(tables, declared, "interactions")
        return absence(spec, absent, "of the days that are built") if absent else None

    return _look(spec, home, "whether there are interactions of the declared kinds", look) if declared else None


def _look(spec: Spec, home: Home, what: str, look: Callable[[Tables], str | None]) -> str | None:
    """Look at the tables, if there are some by this file's rules and SQL; say so if they are in use or damaged."""
    warehouse = warehouse_of(home, spec.name)
    if not warehouse.exists():
        return None
    try:
        with warehouse.open(PATIENCE) as tables:
            # Tables of other rules say nothing about those of this file.
            return look(tables) if tables.ledger().get(CODE) == code_of_tables(spec).digest else None
    except TablesInUse:
        return (
            f"{what} was not looked at, as a run is using the tables now; nothing is wrong with the file: validate it "
            "again when the run has ended"
        )
    except MatineeError as error:
        return f"{what} was not looked at: {error}"


def _last_evaluated(spec: Spec, home: Home) -> tuple[str, Baselines | None]:
    """Read the baselines of the latest day that was evaluated by the same rule, and its day."""
    files = (home.root / "runs" / spec.name).glob(f"*/*/{evaluation.STEP}/{BASELINES_FILE}")
    # By day; of one day, the attempt that was evaluated last. Names break ties of coarse clocks.
    for path in sorted(files, key=lambda path: (path.parents[2].name, path.stat().st_mtime_ns, path), reverse=True):
        baselines = Baselines.read_if_valid(path)
        if baselines is not None and baselines.rule == spec.candidates.seen:
            return path.parents[2].name, baselines
    return "", None
