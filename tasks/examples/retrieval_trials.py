"""Trials of retrievals' settings: fitted for the validation cuts, measured by what they find of what came after.

Each retriever is searched by itself, before anything is retrieved: its lists alone are compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.examples.graded import Wanted, graded
from tasks.examples.learners.protocol import AsOf
from tasks.examples.retrieval_models import Past
from tasks.examples.retrievers import load_retrievers, model_of, refit_day
from tasks.examples.seen import load_rule
from tasks.examples.trial_inputs import CATALOG, TrialInputs
from tasks.features.build import libraries, needed
from tasks.features.engines import warehouse_of
from tasks.features.tuning_run import tuning_run
from tasks.features.warehouse import Tables
from tasks.runs.narration import say
from tasks.spec.retrieval import Retrieval
from tasks.spec.spec import Spec
from tasks.spec.tune import Tune
from tasks.store.atomic import locked
from tasks.store.files import digest
from tasks.tuning.choice import Lists, Tuning
from tasks.tuning.journal import Journal
from tasks.tuning.search import Search, TuneResult
from tasks.tuning.space import Settings, Space

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.arrays import Floats
    from engine.items import Items
    from tasks.runs.run import Run

JOURNALS = "journals"
INPUTS_SECONDS = 3600
"""How long a worker waits for another that takes the inputs from the tables."""


@dataclass(frozen=True, eq=False)
class Cut:
    """A validation cut: the items known, and what its users are to find."""

    day: date
    items: Items
    users: npt.NDArray[np.str_]
    wanted: Wanted


def tune_retrieval_step(run: Run, worker: int) -> TuneResult:
    """Train what is left of the trials of every retriever, beside other workers, until all are there.

    Raises:
        TrainingError: nothing is known yet to fit a model on.
    """
    mine = 0
    for name, search in searches(run).items():
        say("worker {worker}: trials of {retriever}", worker=worker, retriever=name)
        mine += search.work()
    return TuneResult(trainings=mine)


def tuned_retrieval(run: Run, tables: Tables) -> dict[str, Tuning]:
    """The outcome of each retriever's search; nothing without `tune.retrieval`. What workers have left is trained here.

    Args:
        run: the run, whose tables are built.
        tables: the tables, which the caller has open.
    """
    outcomes = {}
    for name, search in searches(run, tables).items():
        search.work()
        outcomes[name] = search.outcome()
        say("{retriever}: {_summary}", retriever=name, _summary=outcomes[name].summary)
    return outcomes


def with_tuned(spec: Spec, outcomes: Mapping[str, Tuning]) -> Spec:
    """The pipeline with the settings that were chosen for its retrievers."""
    if not outcomes:
        return spec
    parts = [
        _with_settings(part, outcomes[part.identity].settings) if part.identity in outcomes else part
        for part in spec.retrieval
    ]
    # Not a copy: that would keep what the other has resolved.
    return Spec.model_validate({**spec.canonical(), "retrieval": [part.model_dump(mode="json") for part in parts]})


def _with_settings(part: Retrieval, settings: Settings) -> Any:
    return type(part).model_validate({**part.model_dump(), **settings})


def searches(run: Run, tables: Tables | None = None) -> dict[str, Search]:
    """The search of each retriever by its name, in the order of the pipeline file.

    Args:
        run: the run.
        tables: the tables, if the caller has them open; else they are opened if the inputs are to be taken from them.
    """
    tune = run.spec.tune
    if tune is None or tune.retrieval is None:
        return {}
    run = tuning_run(run)
    need, cuts = needed(run), run.windows.validation
    made_from = [run.made_by.to_json(), libraries(), [need.features[cut] for cut in cuts], [*need.labels.items()]]
    folder = run.dir / JOURNALS / "retrieval" / digest(made_from)[:16]
    inputs = TrialInputs(folder / "inputs")
    _take_inputs(run, inputs, tables)
    parts = [part for part in run.spec.retrieval if part.identity in tune.retrieval.spaces]
    return {
        part.identity: retriever_search(
            Journal(folder / part.identity), run.spec, part, tune.retrieval.of(tune, part.identity), inputs, cuts
        )
        for part in parts
    }


def _take_inputs(run: Run, inputs: TrialInputs, tables: Tables | None) -> None:
    busy = "another worker takes the inputs of trials from the tables"
    with locked(inputs.folder.parent / "inputs.lock", busy, seconds=INPUTS_SECONDS):
        if inputs.folder.is_dir():
            return
        if tables is not None:
            inputs.write(tables, run.spec, run.windows.validation)
            return
        with warehouse_of(run.home, run.spec.name).open() as opened:
            inputs.write(opened, run.spec, run.windows.validation)


def retriever_search(
    journal: Journal, spec: Spec, part: Retrieval, tune: Tune, inputs: TrialInputs, cuts: tuple[date, ...]
) -> Search:
    """The search for settings of a retriever.

    Args:
        journal: of the search.
        spec: the pipeline.
        part: the retriever.
        tune: what is tried of it.
        inputs: of all trials.
        cuts: those of the validation window.
    """
    import numpy as np

    trial = RetrieverTrial(spec, part, tune.metric, inputs, tuple(_read(spec, inputs, cuts)))
    users = np.concatenate([cut.users for cut in trial.cuts])
    return Search(tune, Space.of(tune.space), journal, trial.measure, Lists(np.ones(len(users)), _numbers(users)))


def _read(spec: Spec, inputs: TrialInputs, cuts: tuple[date, ...]) -> Iterator[Cut]:
    from engine.tables import Catalog

    for day in cuts:
        items = Catalog.load(inputs.cut(day) / CATALOG).items
        yield Cut(day, items, *inputs.wanted(spec, day, items))


def _numbers(users: npt.NDArray[np.str_]) -> npt.NDArray[np.integer[Any]]:
    import numpy as np

    return np.unique(users, return_inverse=True)[1]


@dataclass(frozen=True, eq=False)
class RetrieverTrial:
    """A retriever's trials: what they are fitted on, and the cuts that they are measured at."""

    spec: Spec
    part: Retrieval
    metric: str
    inputs: TrialInputs
    cuts: tuple[Cut, ...]

    def measure(self, settings: Settings, training: int) -> Floats:
        """Fit settings for the n-th time, and measure the list of each user with something to find, cut by cut.

        The first time as a run would; then with other seeds, and item models on other draws of the users.

        Raises:
            TrainingError: there is nothing to fit on.
        """
        import numpy as np

        part = _with_settings(self.part, settings)
        if training and "seed" in type(part).model_fields:
            part = part.model_copy(update={"seed": part.seed + training})
        model, fitted, values = model_of(part), dict[date, Any](), []
        for cut in self.cuts:
            day = refit_day(cut.day, self.spec.start, getattr(part, "refit", 1))
            if model.fit is not None and day not in fitted:
                fitted[day] = model.fit(_drawn(self.inputs.past(day), training), part)
            values.append(self._values(cut, part, fitted.get(day)))
        return np.concatenate(values)

    def _values(self, cut: Cut, part: Any, fitted: Any) -> Floats:
        """Serve the cut's users by the engine's own retriever, from the file that a version would have."""
        from engine.candidates import union
        from engine.metrics import parse_metric
        from engine.npz import save_arrays

        arrays = model_of(part).arrays
        unit = self.spec.interactions.unit if self.spec.interactions.kinds else None
        now = AsOf(self.inputs.past(cut.day), self.inputs.items(cut.day), unit)
        alone = self.spec.model_copy(update={"retrieval": (part,)})
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / CATALOG).symlink_to(self.inputs.cut(cut.day) / CATALOG)
            if arrays is not None:
                save_arrays(folder / part.files[0], **arrays(part, now, fitted))
            _, retrievers = load_retrievers(alone, folder)
            seen = load_rule(self.spec, self.inputs.cut(cut.day), cut.items)
            found = union(retrievers, cut.users, seen)
        return parse_metric(self.metric)(graded(found, cut.items.ids, cut.wanted))


def _drawn(past: Past, number: int) -> Past:
    """Draw the users of the past again, with replacement: each counts a Poisson(1) number of times; 0 draws nothing."""
    import numpy as np

    if not number:
        return past
    # The second number makes it another stream than those of other draws with the same seed.
    times = np.random.default_rng([number, 0xFA57]).poisson(1.0, len(past.users))[past.user]
    kept = times > 0
    return replace(
        past,
        user=past.user[kept],
        item=past.item[kept],
        age=past.age[kept],
        actions=past.actions[kept] * times[kept],
    )
