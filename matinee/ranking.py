"""The engine of a published version: the one that serves, in a notebook."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from matinee.arguments import as_names, as_number, expect, plain_errors
from matinee.columns import RANKED
from matinee.tables import table_of
from tasks.errors import WrongArgument, quoted

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from engine.descriptor import Request
    from engine.ranking import Engine as Loaded
    from engine.ranking import Response
    from tasks.store.files import Home

NAMED = 5
Context = Mapping[str, str | float | bool]
"""What a request knows of itself, such as its hour, by name."""


class Engine:
    """A published version as it serves: loaded, checked against its digests, and its golden requests replayed.

    Get one from `Pipeline.engine`.
    """

    def __init__(self, loaded: Loaded, folder: Path) -> None:
        self._loaded = loaded
        self.folder = folder
        """The version's folder in the registry."""

    @classmethod
    def of(cls, home: Home, pipeline: str, version: str) -> Engine:
        """Load a version that is in the registry.

        Raises:
            MatineeError: it is not what was published.
        """
        from engine.ranking import load
        from tasks.store.registry import version_dir
        from tasks.store.timeline import content_of

        folder = version_dir(home, pipeline, version)
        return cls(load(folder, content=content_of(home, pipeline, version)), folder)

    def __repr__(self) -> str:
        return f"<Engine of {self._loaded.descriptor.pipeline}, version {self.version}>"

    @property
    def version(self) -> str:
        """Its name."""
        return str(self._loaded.descriptor.version)

    @property
    def as_of(self) -> date:
        """The day as of which its features are."""
        return self._loaded.descriptor.as_of

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order in which the model of everybody else takes them."""
        return tuple(self._loaded.populations.rankers["*"].scorer.names)

    def descriptor(self) -> dict[str, Any]:
        """The whole descriptor as plain JSON values: rankers, artifacts, lineage, evaluation, golden requests."""
        plain: dict[str, Any] = self._loaded.descriptor.model_dump(mode="json", by_alias=True)
        return plain

    @plain_errors()
    def rank(
        self,
        users: str | Sequence[str],
        k: int = 10,
        *,
        candidates: Sequence[str] | None = None,
        context: Context | None = None,
    ) -> pa.Table:
        """Rank for one user or for many.

        Args:
            users: an id, or several; who is not known gets what everybody else's model gives.
            k: length of each list.
            candidates: what to rank; what the version retrieves if absent. A warning names those that it does not know,
                or that may not be shown.
            context: what is known of the request.

        Returns:
            A row for each place of each list, users in the order given: user_id, rank (the best is 1), item_id, title,
            score, population (whose model ranked).

        Raises:
            MatineeError: an id, a candidate or the context is none that the engine takes.
        """
        names = [users] if isinstance(users, str) else as_names("users", users)
        answers = self._loaded.rank([_request(name, k, candidates, context) for name in names])
        _warn_of_unknown(answers[0].unknown if answers else [])
        return table_of(
            RANKED, [row for name, answer in zip(names, answers, strict=True) for row in _rows(name, answer)]
        )

    @plain_errors()
    def explain(
        self,
        user: str,
        k: int = 10,
        *,
        candidates: Sequence[str] | None = None,
        context: Context | None = None,
    ) -> pa.Table:
        """Rank as `rank` does for one user, with the value of every feature that the scores were computed from.

        Returns:
            The columns of `rank`, and one (float) for each feature.
        """
        import pyarrow as pa

        answer, why = self._loaded.explain(_request(user, k, candidates, context))
        _warn_of_unknown(answer.unknown)
        table = table_of(RANKED, _rows(user, answer))
        for name, values in zip(why.names, why.values.T, strict=True):
            table = table.append_column(name, pa.array(values, pa.float32()))
        return table

    def knows(self, user: str) -> bool:
        """Whether the version has features of a user."""
        from tasks.publishing.rank import knows

        return knows(self._loaded, expect("user", user, str, "the id of a user"))


def _warn_of_unknown(candidates: Sequence[str]) -> None:
    from tasks.runs.narration import named

    if candidates:
        text = f"{len(candidates)} candidates that the version may not show are left out: {named(candidates, NAMED)}"
        warnings.warn(text, stacklevel=4)  # the caller's line, behind the method and its decorator


def _request(user: str, k: int, candidates: Sequence[str] | None, context: Context | None) -> Request:
    from pydantic import ValidationError

    from engine.descriptor import Request

    expect("user", user, str, "the id of a user")
    given = None if candidates is None else as_names("candidates", candidates)
    known = {} if context is None else expect("context", context, Mapping, "values by name")
    try:
        return Request.model_validate(
            {"user_id": user, "k": as_number("k", k), "candidates": given, "context": dict(known)}
        )
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise WrongArgument(f"{key}: found {quoted(problem['input'])}: {problem['msg']}") from None


def _rows(user: str, answer: Response) -> list[tuple[Any, ...]]:
    places = enumerate(zip(answer.items, answer.titles, answer.scores, strict=True), start=1)
    return [(user, rank, item, title, score, answer.population) for rank, (item, title, score) in places]
