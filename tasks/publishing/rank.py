"""Rank for one user with a published version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import MatineeError, RegistryError, WrongArgument, quoted
from tasks.publishing.results import verdicts_if_valid
from tasks.runs.narration import named
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tasks.store.files import Home
from tasks.store.home import existing_home
from tasks.store.registry import alias, version_dir
from tasks.store.run_files import attempts, days
from tasks.store.timeline import content_of

NAMED = 5
"""Versions that an error message lists, the newest first."""

if TYPE_CHECKING:
    from engine.descriptor import Request
    from engine.ranking import Engine, Response


@dataclass(frozen=True)
class UserList:
    """What a version gives a user; `known` is whether it knows them."""

    pipeline: str
    version: str
    user: str
    known: bool
    response: Response


def find_version(home: Home, pipeline: str, name: str, version: str | None) -> str:
    """Find the version that is named, or else the one the alias points at.

    Raises:
        WrongArgument: there is no version of the name that is given.
        RegistryError: there is none behind the alias; says why, what there is, and what to do.
    """
    folder = home.registry(pipeline) / "versions"
    known = sorted(path.name for path in folder.glob("[!.]*") if path.is_dir())
    pointer = alias(home, pipeline, name) if version is None else None
    wanted = version or (pointer.version if pointer else None)
    if wanted in known:
        return wanted
    if wanted is not None:
        listed = f"there are {named(known[::-1], NAMED)}" if known else _first_step(home, pipeline)
        if pointer is None:  # the caller's own word, as any other value of an option that there is none of
            raise WrongArgument(f"{folder}: no version {quoted(wanted)}; {listed}")
        raise RegistryError(
            f"{folder}: no version {quoted(wanted)}, which the alias {name!r} points at; restore it from a backup, or "
            f"publish a day again; {listed}"
        )
    if not known:
        raise RegistryError(f"{folder}: no version behind the alias {name!r}; {_first_step(home, pipeline)}")
    # The day of the newest one: of an earlier day, the alias would point back from what was served.
    path = home.registry(pipeline) / "aliases" / f"{name}.json"
    raise RegistryError(
        f"{path}: no such file, expected one that points at a version. Restore it from a backup, or run "
        f"`matinee run {pipeline} --as-of {known[-1][:10]}`, which moves it; or name a version: "
        f"--version {known[-1]}"
    )


def _first_step(home: Home, pipeline: str) -> str:
    """Say how to come to a first version: whom a gate held back needs its reasons, and no other run."""
    judged = (
        (attempt, verdicts)
        for day in reversed(days(home, pipeline))
        for attempt in attempts(home, pipeline, day)
        if (verdicts := verdicts_if_valid(attempt.dir)) is not None
    )
    last = next(judged, None)
    if last is not None and (failed := [verdict for verdict in last[1] if not verdict.passed]):
        return (
            f"the gates of the last run, of {last[0].as_of}, held its model back ({named(failed, 1)}). Read why in "
            f"{last[0].step_dir('report') / 'report.html'}"
        )
    return f"run `matinee run {pipeline} --as-of …` first"


def rank_user(pipeline: str, user: str, k: int, version: str | None) -> UserList:
    """Give a user's list, from the champion or the version given.

    Raises:
        MatineeError: the id is empty, or there is no such version.
    """
    request = user_request(user, k)
    engine, folder = load_version(pipeline, version)
    response = engine.rank([request])[0]
    return UserList(engine.descriptor.pipeline, folder.name, user, knows(engine, user), response)


def load_version(pipeline: str, version: str | None) -> tuple[Engine, Path]:
    """Load the version of a pipeline that is named, or else the one its alias points at, from the folder it lies in.

    Raises:
        WrongArgument: there is no version of the name that is given.
        RegistryError: there is none behind the alias.
        EngineError: it is damaged.
    """
    from engine.ranking import load

    spec, home = load_spec(pipeline_path(pipeline)), existing_home()
    version = find_version(home, spec.name, spec.publish.alias, version)
    folder = version_dir(home, spec.name, version)
    return load(folder, content=content_of(home, spec.name, version)), folder


def user_request(user: str, k: int) -> Request:
    """Ask for a user's list.

    Raises:
        MatineeError: the id is none that the engine takes.
    """
    from pydantic import ValidationError

    from engine.descriptor import Request

    if not user:
        raise MatineeError("--user: found an empty id, expected one of the user ids in the data")
    try:
        return Request(user_id=user, k=k)
    except ValidationError as error:  # too long, or no text: the id is right only where the engine takes it
        said = error.errors()[0]["msg"]
        raise MatineeError(f"--user: found {quoted(user)}, expected one of the user ids in the data ({said})") from None


def knows(engine: Engine, user: str) -> bool:
    """Tell whether a version has features of a user."""
    users = engine.wiring.table("features/user.parquet", "user").users
    # Ids that the table does not have are numbered below 0.
    return users is None or bool(users.numbers([user])[0] >= 0)
