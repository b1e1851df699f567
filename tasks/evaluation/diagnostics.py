"""What explains the metrics of a run: candidates, calibration, concentration, and the lists of a few users.

Nothing is decided by it. It is measured on the same held-out groups as the metrics, by the same functions, but beside
the evaluation: so its code has no part in a version, and may change without naming new ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from engine.evaluation import CHAMPION, MODEL, MODEL_WITHOUT_RERANK
from tasks.evaluation.calibration import Calibration, calibrations
from tasks.evaluation.candidate_recall import Consumed, RetrieverRecall, candidate_recall
from tasks.evaluation.champion import Champion
from tasks.evaluation.concentration import Concentration, concentration_of
from tasks.evaluation.evaluate import populations_of
from tasks.evaluation.final_lists import Ranked
from tasks.evaluation.held_out import HeldOut, baseline_rows, truth_of
from tasks.evaluation.results import ChampionResult
from tasks.evaluation.user_lists import Lists, UserList, user_lists
from tasks.store.files import checked_file
from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tasks.runs.run import Run

    Floats = npt.NDArray[np.float64]

DIAGNOSTICS_FILE = "diagnostics.json"


class Diagnostics(Record):
    """All of it.

    Attributes:
        candidates: recall of the retrievers and of their union; empty where `problem` says why.
        calibration: scores against grades, by population.
        concentration: what the lists of each contender are made of; None where `problem` says why.
        lists: those of a few users.
        last: the last version, whose lists are beside; of version None if there was none.
        problem: why the retrieval of the held-out cuts could not be looked at.
    """

    candidates: tuple[RetrieverRecall, ...]
    calibration: tuple[Calibration, ...]
    concentration: Concentration | None
    lists: tuple[UserList, ...]
    last: ChampionResult
    problem: str | None = None


def diagnose(run: Run, table: pa.Table, model: Ranked, last: Champion, k: int) -> Diagnostics:
    """Measure the evaluated model's lists and where they come from.

    Args:
        run: the run.
        table: the test examples.
        model: the evaluated one's scores of the examples.
        last: the champion as of the day, with scores of the same examples if it can give any.
        k: places of each list that count for the concentration.

    Raises:
        MatineeError: a file of the retrieval is not what was written.
    """
    truth = truth_of(run)
    held_out = HeldOut.of(run.spec, table, truth)
    consumed = Consumed.of(held_out, truth)
    places = {MODEL: held_out.places(model.final)}
    if run.spec.rerank:
        places[MODEL_WITHOUT_RERANK] = held_out.places(model.scores)
    places |= {name: held_out.places(*baseline_rows(run.spec, table, name)) for name in run.spec.evaluate.baselines}
    if last.scores is not None:
        places[CHAMPION] = held_out.places(last.scores)
    folders = _folders(run, set(held_out.group_rows["cut"].to_pylist()))
    gone = [folder for folder in folders.values() if not folder.is_dir()]
    catalogs = {} if gone else _catalogs(folders)
    titles = {cut: dict(zip(*_columns(catalog, "item_id", "title"), strict=True)) for cut, catalog in catalogs.items()}
    lists = Lists(held_out, places[MODEL], places.get(CHAMPION), titles)
    return Diagnostics(
        candidates=() if gone else candidate_recall(run, held_out, consumed),
        calibration=calibrations(
            populations_of(run, table), table["user_id"].to_pylist(), model.scores, held_out.grades
        ),
        concentration=None if gone else _concentration(held_out, places, catalogs, k),
        lists=user_lists(lists, list(populations_of(run, held_out.group_rows)), consumed.counts),
        last=last.record(),
        problem=_gone(run, gone),
    )  # fmt: skip


def _gone(run: Run, folders: Sequence[Path]) -> str | None:
    if not folders:
        return None
    return f"{folders[0].relative_to(run.home.root)} is gone; run the step `retrieve` again, and this one"


def _folders(run: Run, cuts: set[date]) -> dict[date, Path]:
    """Where the retrieval of each cut lies; it is a cache, so it may be gone when an old run is looked at again."""
    from tasks.examples.candidates import made_folders

    folders = made_folders(run)
    return {cut: folders[cut] for cut in sorted(cuts)}


def _catalogs(folders: Mapping[date, Path]) -> dict[date, pa.Table]:
    """The catalog of each cut, as its retrieval saw it."""
    import pyarrow.parquet as pq

    return {cut: pq.read_table(checked_file(folder, "catalogue.parquet")) for cut, folder in folders.items()}


def _columns(table: pa.Table, *names: str) -> list[list[str]]:
    return [table[name].to_pylist() for name in names]


def _concentration(
    held_out: HeldOut, places: Mapping[str, Floats], catalogs: Mapping[date, pa.Table], k: int
) -> Concentration:
    import numpy as np

    items = held_out.table["item_id"].combine_chunks().dictionary_encode()
    numbers = items.indices.to_numpy()
    # What was a candidate belongs to the catalog, even if it was withdrawn between being shown and the cut.
    known = set(items.dictionary.to_pylist())
    for catalog in catalogs.values():
        known.update(catalog.filter(catalog["available"])["item_id"].to_pylist())
    return Concentration(
        k=k,
        groups=held_out.group_rows.num_rows,
        catalog=len(known),
        contenders=tuple(
            concentration_of(of, np.bincount(numbers[ranks < k], minlength=len(items.dictionary)), len(known))
            for of, ranks in places.items()
        ),
    )
