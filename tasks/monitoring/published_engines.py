"""What published versions compute, again, for the answers that they gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from engine.errors import EngineError
from tasks.errors import MatineeError
from tasks.monitoring.drift import SCORE
from tasks.monitoring.serving_log import Answer
from tasks.store.files import json_number
from tasks.store.registry import version_dir
from tasks.store.timeline import content_of

if TYPE_CHECKING:
    from engine.ranking import Engine
    from tasks.runs.run import Run

Column = Sequence[float | None]
"""A value for each item of an answer."""


class PublishedEngines:
    """The published versions, loaded when an answer first asks for one."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._engines: dict[str, Engine] = {}

    def values(self, answer: Answer) -> dict[str, Column]:
        """What the version itself computes for the items of an answer: all features, and the score.

        Ranks among candidates, and what is computed from them, are left out where the request named its candidates,
        of which the log keeps only those that were returned.
        """
        from engine.descriptor import Request

        engine = self._engine(answer.version)
        by = engine.populations.by
        request = Request(
            user_id=answer.user_id,
            candidates=answer.items if answer.given else None,
            k=answer.k,
            # The population at the time: the user may belong to another one by now.
            context={**answer.context, **({} if by is None else {by: answer.population})},
        )
        answered, why = engine.explain(request)
        ranks = {name for name in why.names if name.endswith("_rank")}
        left_out = {*ranks, SCORE} if answer.given and ranks else set()
        columns: Iterator[tuple[str, Column]] = zip(
            (*why.names, SCORE), (*why.values.T.tolist(), answered.scores), strict=True
        )
        place = {item: number for number, item in enumerate(answered.items)}
        return {
            name: [json_number(column[place[item]]) if item in place else None for item in answer.items]
            for name, column in columns
            if name not in left_out
        }

    def _engine(self, version: str) -> Engine:
        from engine.ranking import load

        if version not in self._engines:
            place = (self._run.home, self._run.spec.name, version)
            folder = version_dir(*place)
            try:
                # Checked against the timeline's digest: a changed folder must not vouch for what was served.
                self._engines[version] = load(folder, content=content_of(*place))
            except EngineError as error:
                raise MatineeError(
                    f"{folder}: answers were given by this version, but it cannot be loaded: {error}"
                ) from None
        return self._engines[version]
