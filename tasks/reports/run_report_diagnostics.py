"""Parts of the run report that explain the metrics: candidate recall, calibration, coverage, and a few users' lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.evaluation.calibration import Calibration
from tasks.evaluation.candidate_recall import RetrieverRecall
from tasks.evaluation.concentration import Concentration
from tasks.evaluation.diagnostics import DIAGNOSTICS_FILE, Diagnostics
from tasks.evaluation.results import ChampionResult
from tasks.evaluation.user_lists import ListedItem, UserList
from tasks.examples.candidates import RetrieveResult
from tasks.examples.learners.blend import BlendWeights
from tasks.reports.svg_curves import ScorePlot, plot_scores
from tasks.store.run_files import RunFiles


@dataclass(frozen=True)
class CalibrationPanel:
    """The scores of one population's model against grades."""

    calibration: Calibration
    plot: ScorePlot | None


@dataclass(frozen=True)
class ListRow:
    """One place of a user's lists; a side is None where its list is shorter."""

    place: int
    model: ListedItem | None
    last: ListedItem | None


@dataclass(frozen=True)
class ListPanel:
    """The lists of one user, side by side."""

    user: UserList
    rows: tuple[ListRow, ...]

    @property
    def found(self) -> int:
        """Consumed items that the evaluated model lists."""
        return _consumed(self.user.model)

    @property
    def found_last(self) -> int | None:
        """Consumed items that the last version lists; None without its list."""
        return None if self.user.last is None else _consumed(self.user.last)


@dataclass(frozen=True)
class ListsSection:
    """The users' lists, and the version that is beside them.

    Attributes:
        panels: one for each user.
        last: the last version, or why there is no list of it.
    """

    panels: tuple[ListPanel, ...]
    last: ChampionResult

    def may_know(self, panel: ListPanel) -> bool:
        """Whether the last version may have been trained on what the user consumed of this list."""
        return self.last.since is not None and panel.user.cut < self.last.since


@dataclass(frozen=True)
class CandidatesSection:
    """The recall of each retriever, or why there is none.

    Attributes:
        rows: of each retriever.
        problem: why there is none.
        blends: of each blend with fitted weights, how they came about.
    """

    rows: tuple[RetrieverRecall, ...]
    problem: str | None
    blends: Mapping[str, BlendWeights]


@dataclass(frozen=True)
class CoverageSection:
    """What the lists of all contenders are made of, or why that was not measured.

    Attributes:
        concentration: of each contender.
        last: the last version, or why it is not among them.
        problem: why nothing was measured.
    """

    concentration: Concentration | None
    last: ChampionResult
    problem: str | None


@dataclass(frozen=True)
class DiagnosticSections:
    """The sections; all are None where a run recorded no diagnostics."""

    candidates: CandidatesSection | None = None
    calibration: tuple[CalibrationPanel, ...] | None = None
    coverage: CoverageSection | None = None
    lists: ListsSection | None = None


def diagnostic_sections(run: RunFiles) -> DiagnosticSections:
    """Read what the check of the predictions left beside its verdicts."""
    diagnostics = Diagnostics.read_if_valid(run.step_dir("check_predictions") / DIAGNOSTICS_FILE)
    if diagnostics is None:
        return DiagnosticSections()
    retrieved = RetrieveResult.read_if_valid(run.step_dir("retrieve") / "result.json")
    blends = {} if retrieved is None else retrieved.blends
    panels = tuple(CalibrationPanel(one, plot_scores(one.bins)) for one in diagnostics.calibration)
    return DiagnosticSections(
        candidates=CandidatesSection(diagnostics.candidates, diagnostics.problem, blends),
        calibration=panels,
        coverage=CoverageSection(diagnostics.concentration, diagnostics.last, diagnostics.problem),
        lists=ListsSection(tuple(map(_list_panel, diagnostics.lists)), diagnostics.last),
    )


def _list_panel(user: UserList) -> ListPanel:
    last = user.last or ()
    rows = (
        ListRow(n + 1, user.model[n] if n < len(user.model) else None, last[n] if n < len(last) else None)
        for n in range(max(len(user.model), len(last)))
    )
    return ListPanel(user, tuple(rows))


def _consumed(items: tuple[ListedItem, ...]) -> int:
    return sum(item.grade > 0 for item in items)
