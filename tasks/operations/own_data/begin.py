"""Begin a pipeline from data: look at them, ask what they do not tell, and write what a first run needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tasks.errors import SpecError, WrongArgument, quoted
from tasks.operations.own_data.activity import activity_of
from tasks.operations.own_data.columns import TypedTable, typed_table
from tasks.operations.own_data.entities import find_entities
from tasks.operations.own_data.found_files import FoundTable, find_tables, is_json_lines
from tasks.operations.own_data.found_relations import find_relations, is_database, scheme_of, variable_of
from tasks.operations.own_data.kinds_of_rows import guess_kinds
from tasks.operations.own_data.project_texts import OwnData, dataset_text, pipeline_text, readme_text
from tasks.operations.own_data.roles import Ask, Roles, guess_roles, has_events, has_ratings, named
from tasks.operations.own_data.staging_texts import staging_models, staging_yml
from tasks.operations.own_data.workbooks import is_workbook, write_sheets
from tasks.spec.project import PIPELINE_NAME, new_project, pipelines_folder
from tasks.store.files import default_home


def begin(name: str, place: Path | str, ask: Ask) -> OwnData:
    """Write a dataset file, staging models, a pipeline file and a README of what was assumed, and check them.

    Args:
        name: of the pipeline and of the data set.
        place: a folder of files, a file, or the URL of a database, which is written nowhere. The sheets of an Excel
            workbook become CSV files in `data/<name>` of the state folder.
        ask: is asked what the files do not tell.

    Raises:
        SpecError: the name is none or taken, or the files hold no interactions of users with items on some days.
        WrongArgument: the place is empty, or a URL of something that is not looked at.
    """
    _check_place(str(place))
    if not PIPELINE_NAME.fullmatch(name):
        raise SpecError(f"{quoted(name)}: expected a name of small letters, digits and _, like my_shop")
    with _files_of(name, place) as readable:
        return _begin(name, readable, ask)


def _check_place(place: str) -> None:
    if not place.strip():
        raise WrongArgument("--from: is empty; expected a folder, a file, or the URL of a database")
    scheme = scheme_of(place)
    if scheme and not is_database(place) and not Path(place).exists():
        # Only its scheme is named: what follows may have a password in it.
        raise WrongArgument(
            f"--from: a URL of {scheme}: cannot be looked at; expected a folder, a file, an Excel workbook, "
            "postgresql://… or sqlite:///…; copy a part of what is elsewhere (like s3://…) to a folder, with all of "
            "its days, and begin with that"
        )


@contextmanager
def _files_of(name: str, place: Path | str) -> Iterator[Path | str]:
    """Yield a place that can be landed from: of a workbook, the folder of its sheets, unless the block fails."""
    workbook = Path(place)
    if is_database(str(place)) or not (is_workbook(workbook) and workbook.is_file()):
        yield place
        return
    folder = default_home().root / "data" / name
    if folder.exists():
        raise SpecError(f"{folder}: is there already; choose another name, or delete it if it is not needed any more")
    try:
        write_sheets(workbook, folder)
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _begin(name: str, place: Path | str, ask: Ask) -> OwnData:
    own = look_at(name, place, ask)
    sql = new_project() / "transforms"
    pipeline, staging = _pipelines() / f"{name}.yaml", sql / "models" / "staging" / name
    dataset, readme = sql / "datasets" / f"{name}.yaml", staging / "README.md"
    for path in (pipeline, dataset, staging):
        if path.exists():
            raise SpecError(f"{path}: is there already; choose another name, or delete it if it is not needed any more")
    texts = {
        dataset: dataset_text(own),
        staging / "staging.yml": staging_yml(own.events, own.roles, own.entities),
        **{
            staging / f"{model}.sql": text
            for model, text in staging_models(own.events, own.roles, own.kinds, own.entities).items()
        },
    }
    own = replace(own, paths=[*texts, pipeline])
    # An empty folder would become a project by an empty `pipelines/`.
    there_not_yet = _absent([pipeline.parent, staging, dataset.parent], new_project())
    try:
        _write(texts)
        own = _with_windows_that_fit(own, pipeline)
        _write({readme: readme_text(own)})
    except BaseException:
        # Half of it would be in the way of the next attempt; also after Ctrl-C.
        for path in (*texts, pipeline, readme):
            path.unlink(missing_ok=True)
        for folder in there_not_yet:
            # Not with what somebody else has put there meanwhile.
            with suppress(OSError):
                folder.rmdir()
        raise
    return replace(own, paths=[*own.paths, readme])


def _pipelines() -> Path:
    there = os.environ.get("MATINEE_PIPELINES") or (new_project() / "pipelines").is_dir()
    return pipelines_folder() if there else new_project() / "pipelines"


def _absent(folders: Sequence[Path], project: Path) -> list[Path]:
    """List the folders that are not there, of some and of those around them in the project; inner ones first."""
    around = {each for folder in folders for each in (folder, *folder.parents) if each.is_relative_to(project)}
    return sorted((each for each in around if not each.exists()), key=lambda each: -len(each.parts))


def look_at(name: str, place: Path | str, ask: Ask) -> OwnData:
    """Find what is in files or in a database, without writing anything.

    Raises:
        SpecError: they hold no interactions of users with items on some days.
        SourceError: the database cannot be read.
    """
    url_env = variable_of(name, str(place)) if is_database(str(place)) else None
    folder, found, left_out = _found(Path(place), url_env)
    tables = _differently_named([typed_table(table) for table in found])
    able = [table for table in tables if has_events(table)]
    if not able:
        raise SpecError(
            f"{url_env or place}: found no table of interactions; expected one with a column for users, one for items, "
            "and one with times (or a file per day, like 2026-01-31.csv); looked at "
            + ", ".join(table.found.file for table in tables)
            + "".join(f"; {one.removesuffix('.')}" for one in left_out)
        )
    events = max(able, key=lambda table: (bool(named(table, "click")), table.found.rows.num_rows))
    roles = guess_roles(events, ask)
    entities = find_entities(events, roles, tables)
    if not any(events.found.header):
        events, roles = _with_names(events, roles)
    used = {events.found.file, *(entity.table.found.file for entity in entities.values())}
    unused = [table.found.file for table in tables if table.found.file not in used]
    kinds = guess_kinds(events, roles, ask)
    return OwnData(
        name, folder and folder.resolve(), events, roles, kinds, entities, unused, activity_of(events, roles),
        url_env=url_env, left_out=left_out,
    )  # fmt: skip


def _found(place: Path, url_env: str | None) -> tuple[Path | None, Sequence[FoundTable], Sequence[str]]:
    if url_env is None:
        folder, tables = find_tables(place)
        return folder, tables, [sentence for table in tables if (sentence := _nested(table))]
    relations = find_relations(url_env)
    return None, relations.tables, relations.left_out


def _nested(table: FoundTable) -> str | None:
    """Name a file's columns of lists or objects; None if it has none."""
    if not table.nested:
        return None
    names = ", ".join(f"`{name}`" for name in table.nested)
    within = "; a value within an object is declared by its path, like `user.id`" if is_json_lines(table.file) else ""
    return f"of `{table.file}` the columns of lists and objects, {names}{within}."


def _differently_named(tables: Sequence[TypedTable]) -> list[TypedTable]:
    names: list[str] = []
    for number, table in enumerate(tables):
        names.append(table.name if table.name not in names else f"{table.name}_{number + 1}")
    return [replace(table, name=name) for table, name in zip(tables, names, strict=True)]


def _with_names(events: TypedTable, roles: Roles) -> tuple[TypedTable, Roles]:
    """Name the columns of a file without names by what they are."""
    value = "rating" if roles.value and has_ratings(events, roles.value) else "amount"
    names = {roles.user[0]: "user_id", roles.item: "item_id"}
    names |= {old: new for old, new in ((roles.time, "happened_at"), (roles.value, value)) if old}
    known = replace(
        roles, user=("user_id",), item="item_id", time=roles.time and "happened_at", value=roles.value and value
    )
    return events.renamed(names), known


def _with_windows_that_fit(own: OwnData, path: Path) -> OwnData:
    """Write the pipeline file, with as many cuts to train on as its days have room for, and check all of it."""
    from tasks.runs.sql_lineage import sql_of
    from tasks.spec.load import load_spec
    from tasks.spec.windows import first_as_of

    while True:
        _write({path: pipeline_text(own)})
        spec = load_spec(path)
        if first_as_of(spec) <= own.activity.last or own.activity.train == 1:
            sql_of(spec)
            return own
        own = replace(own, activity=replace(own.activity, train=own.activity.train - 1))


def _write(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
