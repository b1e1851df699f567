"""How a run ended, as its report recorded it: read by alerts, pages and the terminal alike."""

from __future__ import annotations

from tasks.store.records import PathInside, Record


class ReportResult(Record):
    """What the step `report` leaves.

    Attributes:
        report: the page, relative to the run's folder.
        verdict: one sentence on how the run ended.
        good: whether it published.
    """

    report: PathInside
    verdict: str
    good: bool

    def summary(self) -> str:
        """How the run ended."""
        return self.verdict
