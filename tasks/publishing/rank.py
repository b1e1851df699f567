"""Rank for one user with a published version, as a table for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tasks.errors import MatineeError, RegistryError, quoted
from tasks.spec.load import load_spec
from tasks.spec.project import pipeline_path
from tasks.store.files import Home
from tasks.store.home import existing_home
from tasks.store.registry import alias, version_dir
from tasks.store.timeline import content_of


def find_version(home: Home, pipeline: str, name: str, version: str | None) -> str:
    """Find the version that is named, or else the one the alias points at.

    Raises:
        RegistryError: there is none; says what there is.
    """
    folder = home.registry(pipeline) / "versions"
    known = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if version is None:
        current = alias(home, pipeline, name)
        version = current.version if current else None
    if version is None or version not in known:
        listed = f"there are {', '.join(known)}" if known else f"run `matinee run {pipeline} --as-of …` first"
        wanted = quoted(version) if version else f"behind the alias {name!r}"
        raise RegistryError(f"{folder}: no version {wanted}; {listed}")
    return version


def rank_user(pipeline: str, user: str, k: int, version: str | None) -> RenderableType:
    """Show a user's list as a table, from the champion or the version given.

    Raises:
        MatineeError: the id is empty, or there is no such version.
    """
    from pydantic import ValidationError

    from engine.descriptor import Request
    from engine.ranking import load

    if not user:
        raise MatineeError("--user: found an empty id, expected one of the user ids in the data")
    try:
        request = Request(user_id=user, k=k)
    except ValidationError as error:  # too long, or no text: the id is right only where the engine takes it
        said = error.errors()[0]["msg"]
        raise MatineeError(f"--user: found {quoted(user)}, expected one of the user ids in the data ({said})") from None
    spec, home = load_spec(pipeline_path(pipeline)), existing_home()
    version = find_version(home, spec.name, spec.publish.alias, version)
    engine = load(version_dir(home, spec.name, version), content=content_of(home, spec.name, version))
    response = engine.rank([request])[0]
    table = Table(title=f"{spec.name} {version}: user {user}, population {response.population}", title_justify="left")
    for name in ("rank", "score", "item", "title"):
        table.add_column(name, justify="right" if name in {"rank", "score"} else "left")
    for position, (item, score) in enumerate(zip(response.items, response.scores, strict=True), start=1):
        table.add_row(str(position), f"{score:.4f}", item, response.titles[position - 1])
    users = engine.wiring.table("features/user.parquet", "user").users
    # Ids that the table does not have are numbered below 0.
    if users is None or users.numbers([user])[0] >= 0:
        return table
    # A version's name begins with its as-of day.
    return Group(Text(f"user {user!r} is not known as of {version[:10]}: popular items", style="yellow"), table)
