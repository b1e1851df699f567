"""Fit the retrieval models of each cut, and write its candidates with every model's score.

Models and candidates of a cut are functions of the cut alone, so they are kept and reused by every run that needs
that cut. Item factors are fitted on a fixed calendar (`refit`, counted from the pipeline's start) on what was known
by then; users are folded in as of the cut. Candidates are made by the engine's own retrievers from the files that a
version would publish, so what is trained on is what is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.errors import BuildError
from tasks.examples import queries
from tasks.examples.arrays import texts
from tasks.examples.cut_models import Models
from tasks.examples.learners.blend import BlendWeights, fitted_weights, say_weights
from tasks.examples.rerank import kinds_made_by
from tasks.examples.retrieval_log import RetrievalTally, say_cuts
from tasks.examples.retrieval_trials import tuned_retrieval, with_tuned
from tasks.examples.retrievers import blas_kernels, load_retrievers
from tasks.examples.seen import load_rule
from tasks.examples.weights import require_positives
from tasks.features.build import (
    landing_digest,
    libraries,
    needed,
    require_built,
)
from tasks.features.dbt_run import dbt_vars
from tasks.features.engines import warehouse_of
from tasks.features.ledger import BuildRequest
from tasks.features.warehouse import Tables
from tasks.runs.narration import counted, warn_each
from tasks.runs.provenance import code_digest
from tasks.runs.sql_lineage import sql_of
from tasks.spec.feedback.position_bias import reads_policy
from tasks.spec.learner_files import retriever_files
from tasks.store.atomic import atomic_dir
from tasks.store.damage import damage_of
from tasks.store.files import checked_file, digest, write_digests, write_json
from tasks.store.records import PathInside, Record
from tasks.tuning.choice import Tuning

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.candidates import Candidates
    from engine.items import Items
    from engine.retrieval import Retriever
    from engine.seen import SeenRule
    from tasks.runs.run import Run
    from tasks.spec.spec import Spec

CANDIDATES = "candidates.parquet"


class RetrieveResult(Record):
    """What the step `retrieve` made or found.

    Attributes:
        data: digest of the landing behind it.
        cuts: folders that the run needs: one for each cut, and one for its as-of day.
        made: how many of them were missing or damaged.
        folders: where they lie below the home.
        kernels: the BLAS kernels of the processor they are for, where their bits depend on it.
        tuned: the search for the settings of each retriever that `tune.retrieval` names.
        blends: the fitted weights of each blend that has such, as of the run's day.
    """

    data: str
    cuts: int
    made: int
    folders: dict[date, PathInside]
    kernels: list[str]
    tuned: dict[str, Tuning] = Field(default={}, exclude_if=lambda tuned: not tuned)
    blends: dict[str, BlendWeights] = Field(default_factory=dict)

    def summary(self) -> str:
        """How many cuts were made."""
        return f"{self.made:,} of {self.cuts:,} cuts made, {self.cuts - self.made:,} reused"


def cut_folders(
    run: Run, need: BuildRequest, kernels: list[str] | None = None, tuned: Mapping[str, Tuning] | None = None
) -> dict[date, Path]:
    """The folder of every cut of the run and of its as-of day, named by all that it is made from.

    Args:
        run: the run.
        need: what it needs.
        kernels: the BLAS kernels that the models' bits depend on; those of this processor if absent.
        tuned: what was chosen for retrievers, by name.
    """
    canonical, programs = with_tuned(run.spec, tuned or {}).canonical(), retriever_files(run.spec)
    # `start` is among them: the days on which item models are fitted anew count from it.
    made_by = {
        "kernels": blas_kernels(run.spec.retrieval) if kernels is None else kernels,
        "code": [code_digest(), sql_of(run.spec).digest, libraries(), *([programs] if programs else [])],
        "spec": [
            canonical["retrieval"],
            canonical["candidates"],
            canonical["interactions"],
            canonical["examples"]["kind"],
            canonical["start"],
            kinds_made_by(run.spec),  # of the rules no more: another strength changes nothing here
            dbt_vars(run.spec),
            *(["policy"] if reads_policy(run.spec.position_bias) else []),
        ],
    }
    folders = {}
    for day, value in need.features.items():
        # What is shown follows the cut; the labels' digest covers the days up to which it may become known.
        shown = need.labels.get(day, "") if run.spec.examples.kind == "impressions" else ""
        name = digest([made_by, value, shown])[:16]
        folders[day] = run.home.retrieval(run.spec.name) / f"cut={day}" / name
    return folders


def chosen_spec(run: Run) -> Spec:
    """The pipeline with the settings that this attempt's `retrieve` chose for its retrievers.

    Raises:
        MatineeError: it has not run.
    """
    if run.spec.tune is None or run.spec.tune.retrieval is None:
        return run.spec
    return with_tuned(run.spec, run.read("retrieve", RetrieveResult).tuned)


def made_folders(run: Run) -> dict[date, Path]:
    """The folders that this attempt's `retrieve` made or found, by cut and as-of day.

    Raises:
        MatineeError: it has not run.
    """
    folders = run.read("retrieve", RetrieveResult).folders
    return {day: run.home.root / folder for day, folder in folders.items()}


def candidate_files(run: Run) -> dict[date, Path]:
    """The candidate file of every cut of the run, made from the landing as it is now.

    Raises:
        BuildError: something that they were made from has changed since.
        MatineeError: a file is not what was written.
    """
    cuts, folders = set(run.windows.refit), made_folders(run)
    # The worker that retrieved may have had another processor than this one: its folders are still the run's.
    retrieved = run.read("retrieve", RetrieveResult)
    if folders != cut_folders(run, needed(run), retrieved.kernels, retrieved.tuned):
        raise BuildError(
            f"{run.spec.name} {run.as_of}: the landing, the pipeline file or the code has changed since the step "
            "`retrieve`; run the steps again from `build` on"
        )
    return {day: checked_file(folder, CANDIDATES) for day, folder in folders.items() if day in cuts}


def problem_of(folder: Path) -> str | None:
    """Say why the folder of a cut has to be made: it is not there, or it is damaged. None if it is as it was made."""
    if not folder.is_dir():
        return "not made from these tables, settings and code"
    # Read as a whole: a model with a flipped bit still loads, as one of another factor.
    damage = damage_of(folder)
    return None if damage is None else f"damaged since it was made: {damage}"


def retrieve_step(run: Run) -> RetrieveResult:
    """Make what is missing or damaged of the run's cuts and of its as-of day.

    Raises:
        TrainingError: nothing is known yet to fit a model on.
        BuildError: the tables are not those of the landing, whose digests name the folders.
    """
    # While the tables are open nobody builds, and nobody else makes the same folders.
    with run.write("retrieve") as step, warehouse_of(run.home, run.spec.name).open() as tables:
        need = needed(run)
        require_built(run, tables)
        tuned = tuned_retrieval(run, tables)
        folders = cut_folders(run, need, tuned=tuned)
        problems = {day: why for day, folder in folders.items() if (why := problem_of(folder)) is not None}
        missing = {day: folders[day] for day in problems}
        damaged = [f"{folders[day]}: {why}; it is made again" for day, why in problems.items() if folders[day].exists()]
        say_cuts(folders, missing)
        warn_each(damaged, "`matinee verify` lists all")
        if missing:
            require_positives(tables, run.spec, run.as_of)
        spec = with_tuned(run.spec, tuned)
        tally = RetrievalTally(spec)
        models = Models(tables, spec, tally)
        for day, folder in counted(missing.items(), "cuts"):
            with atomic_dir(folder) as target:
                models.write(day, target)
                if run.spec.examples.kind == "snapshots" or day in need.labels:  # else it has no labels to train on
                    _write_candidates(tables, tally, day, target)
                write_digests(target)
        tally.say()
        step.result = result = RetrieveResult(
            data=landing_digest(need.partitions),
            cuts=len(folders),
            made=len(missing),
            folders={day: str(folder.relative_to(run.home.root)) for day, folder in folders.items()},
            kernels=blas_kernels(run.spec.retrieval),
            tuned=tuned,
            blends=_blends(spec, folders[run.as_of]),
        )
    return result


def _blends(spec: Spec, folder: Path) -> dict[str, BlendWeights]:
    """The fitted weights of the blends in a cut's folder, said in the log."""
    blends = fitted_weights(spec.retrieval, folder)
    for part in spec.retrieval:
        if part.identity in blends:
            say_weights(part.identity, blends[part.identity], part.k)
    return blends


def _write_candidates(tables: Tables, tally: RetrievalTally, cut: date, folder: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from engine.candidates import ranks_of, scores_of

    spec = tally.spec
    items, retrievers = load_retrievers(spec, folder)
    seen = load_rule(spec, folder, items)
    if spec.examples.kind == "impressions":
        rows, users, pairs = _shown(tables, tally, cut, items, seen)
    else:
        rows, users, pairs = _snapshot(tables, cut, items, retrievers, seen)
        tally.retrieved(cut, np.diff(pairs.offsets))
    scores = scores_of([part.identity for part in spec.retrieval], retrievers, users, pairs)
    # NaN becomes null, which SQL replaces by the default; it would take NaN for a number.
    columns = {name: pa.array(values, from_pandas=True) for name, values in scores.items()}
    if spec.examples.kind == "snapshots":
        for part in spec.retrieval:
            columns[f"{part.identity}_rank"] = pa.array(ranks_of(pairs, scores[f"{part.identity}_score"]))
    table = pa.table({**rows, **columns})
    pq.write_table(table, folder / CANDIDATES, compression="zstd")
    tally.wrote(table.num_rows)
    write_json(folder / "made.json", {"cut": cut, "rows": table.num_rows})


def _snapshot(
    tables: Tables, cut: date, items: Items, retrievers: Iterable[tuple[Retriever, int]], seen: SeenRule | None
) -> tuple[dict[str, Any], npt.NDArray[np.str_], Candidates]:
    """Rows, users and pairs: each active user's retrieved items."""
    import numpy as np
    import pyarrow as pa

    from engine.candidates import union

    active = tables.arrow(queries.active_users(cut))
    users = texts(active["user_id"])
    pairs = union(list(retrievers), users, seen)
    user, item = users[pairs.rows], items.ids.values[pairs.items]
    groups = np.char.add(user, f"@{cut}") if len(user) else user
    size = len(user)
    return (
        {
            "example_id": pa.array(np.char.add(np.char.add(groups, "/"), item) if size else groups),
            "group_id": pa.array(groups),
            "user_id": pa.array(user),
            "item_id": pa.array(item),
            "cut": pa.array([cut] * size, pa.date32()),
            "position": pa.nulls(size, pa.int32()),
            "propensity": pa.nulls(size, pa.float64()),
        },
        users,
        pairs,
    )


def _shown(
    tables: Tables, tally: RetrievalTally, cut: date, items: Items, seen: SeenRule | None
) -> tuple[dict[str, Any], npt.NDArray[np.str_], Candidates]:
    """Rows, users and pairs: what was shown on the day after the cut, as known when its labels are complete.

    A rule for seen items removes what the ranker's lists could not hold.
    """
    import numpy as np

    from engine.arrays import offsets_of
    from engine.candidates import Candidates

    table = tables.arrow(queries.shown(tally.spec, cut))
    # The query orders rows by user, byte by byte, which is `unique`'s order of code points.
    names, counts = np.unique(texts(table["user_id"]), return_counts=True)
    numbers = items.ids.numbers(texts(table["item_id"]))
    keep = numbers >= 0  # an item that is not known as of the cut has no features then
    tally.unknown += len(keep) - int(keep.sum())
    owners = np.repeat(np.arange(len(names)), counts)
    if seen is not None:
        keep[keep] = seen.keep(names, owners[keep], numbers[keep])
    owners = owners[keep]
    lengths = np.bincount(owners, minlength=len(names))
    rows = table.filter(keep)
    return {name: rows[name] for name in rows.column_names}, names, Candidates(offsets_of(lengths), numbers[keep])
