"""Examples = candidates ⟕ features ⟕ labels, and the stratified sample of groups that is trained on.

One SQL statement makes the examples of every pipeline. Groups are drawn first and joined with their features
afterwards, so that nothing is computed for rows that are not used. The draw orders the groups of each stratum by
the md5 of (seed, purpose, group id): the same groups for any thread count, file order and day of building. Each
group keeps the weight N/n that undoes the sampling of its stratum (Horvitz and Thompson 1952).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingError
from tasks.examples.allocation import allocate
from tasks.examples.arrays import UNKNOWN
from tasks.examples.candidates import candidate_files
from tasks.features.warehouse import reader
from tasks.spec.feature_catalog import KEYS, MARTS, ON_DEMAND_MARTS, MartFeature
from tasks.spec.resolved_features import Feature
from tasks.spec.spec import Spec
from tasks.store.files import atomic_file, write_json
from tasks.store.sql import identifier, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tasks.runs.run import Run


def attribute_columns(spec: Spec) -> list[str]:
    """User attributes that the examples carry: strata, slices and what splits the populations."""
    by = [spec.populations.by] if spec.populations else []
    return list(dict.fromkeys([*spec.sample.strata, *by, *spec.evaluate.slices]))


def copy_parquet(connection: DuckDBPyConnection, query: str, path: Path) -> int:
    """Write the result of a query to a parquet file atomically; return the number of rows."""
    with atomic_file(path) as temporary:
        written = connection.execute(
            f"copy ({query}) to {literal(str(temporary))} (format parquet, compression zstd, row_group_size 122880)"
        ).fetchone()
    return int(written[0]) if written else 0


def _create_groups(connection: DuckDBPyConnection, run: Run) -> None:
    """Make `candidates` (all cuts of the run) and `groups` (one row a group, with strata and best grade)."""
    spec = run.spec
    paths = ", ".join(literal(str(path)) for path in candidate_files(run).values())
    connection.execute(f"create temp view candidates as select * from read_parquet([{paths}])")
    attributes = "".join(
        f", coalesce(min(u.{identifier(name)}), '{UNKNOWN}') as {identifier(name)}" for name in attribute_columns(spec)
    )
    connection.execute(
        f"""
        create temp table groups as
        select c.group_id, c.cut, min(c.user_id) as user_id,
               max(coalesce(l.grade, 0)) as best, min(coalesce(l.grade, 0)) as worst{attributes}
        from candidates c
        left join labels l on l.user_id = c.user_id and l.item_id = c.item_id and l.cut = c.cut
        left join feat_users u on u.user_id = c.user_id and u.as_of = c.cut
        group by c.group_id, c.cut
        """
    )


def _truth(run: Run, cuts: Sequence[date]) -> str:
    """Query of every relevant item of every judged user at snapshot cuts: what retrieval missed counts too."""
    attributes = "".join(
        f", coalesce(u.{identifier(name)}, '{UNKNOWN}') as {identifier(name)}" for name in attribute_columns(run.spec)
    )
    return f"""
        select l.user_id || '@' || l.cut as group_id, l.user_id, l.cut, l.item_id, l.grade{attributes}
        from labels l
        join feat_users u on u.user_id = l.user_id and u.as_of = l.cut and u.user_actions_365d > 0
        join feat_items i on i.item_id = l.item_id and i.as_of = l.cut
        where l.grade > 0 and l.cut in ({_days(cuts)})
        order by l.cut, group_id, l.item_id
    """


def _days(days: Sequence[date]) -> str:
    return ", ".join(f"date '{day}'" for day in days) or "null"


def _strata_counts(connection: DuckDBPyConnection, spec: Spec, cuts: Sequence[date]) -> dict[tuple[str, ...], int]:
    names = ", ".join(identifier(name) for name in spec.sample.strata)
    chosen = f"{names}, " if names else ""
    rows = connection.execute(
        f"select {chosen}count(*) from groups where best > 0 and cut in ({_days(cuts)})"
        + (f" group by {names} order by {names}" if names else "")
    ).fetchall()
    return {tuple(str(value) for value in row[:-1]): int(row[-1]) for row in rows if row[-1]}


def _draw(connection: DuckDBPyConnection, run: Run, name: str, cuts: Sequence[date]) -> list[dict[str, Any]]:
    """Make the table `name(group_id, cut, weight)` of drawn groups; return population and sample per stratum.

    Groups without a single positive teach a ranking loss nothing, and are not drawn.
    """
    spec = run.spec.sample
    counts = _strata_counts(connection, run.spec, cuts)
    sizes = allocate(counts, spec.groups, spec.allocation, spec.floor)
    strata = [identifier(column) for column in spec.strata]
    connection.execute(
        f"create temp table {name}_sizes ({''.join(c + ' varchar, ' for c in strata)}available bigint, size bigint)"
    )
    places = ", ".join("?" for _ in range(len(strata) + 2))
    rows = [[*stratum, counts[stratum], sizes[stratum]] for stratum in counts]
    if rows:
        connection.executemany(f"insert into {name}_sizes values ({places})", rows)
    partition = f"partition by {', '.join('g.' + c for c in strata)} " if strata else ""
    on = " and ".join(f"s.{c} = g.{c}" for c in strata) or "true"
    connection.execute(
        f"""
        create temp table {name} as
        select g.group_id, g.cut, s.available / s.size::double as weight
        from groups g join {name}_sizes s on {on}
        where g.best > 0 and g.cut in ({_days(cuts)}) and s.size > 0
        qualify row_number() over (
            {partition}order by md5('{int(spec.seed)}:sample:' || g.group_id || g.cut), g.group_id, g.cut
        ) <= s.size
        """
    )
    return [
        {
            "stratum": dict(zip(spec.strata, stratum, strict=True)),
            "groups": counts[stratum],
            "drawn": sizes[stratum],
        }
        for stratum in counts
    ]


def examples_query(spec: Spec, drawn: str, cuts: Sequence[date]) -> str:
    """Return the one statement that makes examples: candidates ⟕ features ⟕ labels, for the groups of a table."""
    # Scores and ranks that are no features are baselines of the evaluation, so they come along.
    baselines = [feature for feature in spec.retrieval_features if feature not in spec.resolved_features]
    columns = [feature_column(feature) for feature in (*spec.resolved_features, *baselines)]
    attributes = [f"g.{identifier(name)}" for name in attribute_columns(spec)]
    used = {feature.mart for feature in spec.resolved_features if isinstance(feature, MartFeature)}
    used |= {"feat_items"} if "feat_user_categories" in used else set()  # which knows the category
    joins = "\n".join(join_mart(mart) for mart in MARTS if mart in used)
    return f"""
        with chosen as not materialized (
            select c.*, d.weight
            from candidates c
            join {drawn} d on d.group_id = c.group_id and d.cut = c.cut
            where c.cut in ({_days(cuts)})
        ),
        points as not materialized (select user_id, item_id, cut as as_of from chosen)
        select c.example_id, c.group_id, c.user_id, c.item_id, c.cut, coalesce(l.grade, 0)::tinyint as grade,
               c.position, c.propensity, {"".join(a + ", " for a in attributes)}c.weight,
               {", ".join(columns)}
        from chosen c
        join groups g on g.group_id = c.group_id and g.cut = c.cut
        left join labels l on l.user_id = c.user_id and l.item_id = c.item_id and l.cut = c.cut
        {joins}
        order by c.cut, c.group_id, c.item_id, c.example_id
    """


def feature_column(feature: Feature) -> str:
    """Write a feature as a column of the examples: of its mart, or of the candidates `c`; its default where absent."""
    name = identifier(feature.name)
    if isinstance(feature, MartFeature):
        return f"coalesce({feature.mart}.{name}, {feature.default!r})::float as {name}"
    return f"coalesce(c.{name}, 0)::float as {name}"


def join_mart(mart: str) -> str:
    """Return the join of a mart with rows `c` of user, item and cut, of which those of `points` are asked for."""
    keys = {"user_id": "c.user_id", "item_id": "c.item_id", "category": "feat_items.category"}
    on = " and ".join(f"{mart}.{key} = {keys[key]}" for key in KEYS[MARTS[mart]])
    rows = f"{mart}_at('points') as {mart}" if mart in ON_DEMAND_MARTS else mart
    return f"left join {rows} on {on} and {mart}.as_of = c.cut"


def _judged(connection: DuckDBPyConnection, run: Run, cuts: Sequence[date]) -> None:
    """Make the table `judged` of test groups: all that have something to find."""
    if run.spec.examples.kind == "snapshots":
        connection.execute(f"create temp table truth as {_truth(run, cuts)}")
        relevant = "select group_id, cut from truth"
    else:
        relevant = f"select group_id, cut from groups where best > 0 and cut in ({_days(cuts)})"
    connection.execute(
        f"create temp table judged as select distinct group_id, cut, 1.0::double as weight from ({relevant})"
    )


def sample_step(run: Run) -> dict[str, Any]:
    """Write `train`, `validation`, `test` and `refit` examples, `truth` for snapshots, and the strata.

    Raises:
        TrainingError: no group has a positive label.
    """
    windows = run.windows
    result: dict[str, Any] = {"strata": [], "rows": {}}
    fit = (*windows.train, *windows.validation)
    with reader(run.home, run.spec.name) as connection, run.step("sample", result) as folder:
        _create_groups(connection, run)
        result["strata"] = _draw(connection, run, "fit", fit)
        if not result["strata"]:
            raise TrainingError(_no_positive(run, fit))
        if run.spec.publish.refit:
            _draw(connection, run, "refit", windows.refit)
        _judged(connection, run, (*windows.validation, *windows.test))
        parts = {
            "train": ("fit", windows.train),
            "validation": ("fit", windows.validation),
            "test": ("judged", windows.test),
            **({"refit": ("refit", windows.refit)} if run.spec.publish.refit else {}),
        }
        for name, (table, cuts) in parts.items():
            query = examples_query(run.spec, table, cuts)
            result["rows"][name] = copy_parquet(connection, query, folder / f"{name}.parquet")
        if run.spec.examples.kind == "snapshots":
            copy_parquet(connection, "select * from truth order by cut, group_id, item_id", folder / "truth.parquet")
        result["populations"] = _population_counts(connection, run.spec)
        result["serving"] = _serving_features(connection, run, folder / "serving")
        write_json(folder / "strata.json", result["strata"])
    return result


def _serving_features(connection: DuckDBPyConnection, run: Run, folder: Path) -> dict[str, int]:
    """Write the features as of the run's day, which serve tomorrow: the same tables, no second implementation."""
    spec = run.spec
    chosen = [feature for feature in spec.resolved_features if isinstance(feature, MartFeature)]
    rows: dict[str, int] = {}
    for mart, entity in MARTS.items():
        features = [feature.name for feature in chosen if feature.mart == mart]
        attributes = [spec.populations.by] if mart == "feat_users" and spec.populations else []
        if features or mart == "feat_users":
            columns = ", ".join(identifier(name) for name in (*KEYS[entity], *attributes, *features))
            query = f"select {columns} from {mart} where as_of = date '{run.as_of}' order by {', '.join(KEYS[entity])}"
            rows[entity] = copy_parquet(connection, query, folder / f"{entity}.parquet")
    return rows


def _population_counts(connection: DuckDBPyConnection, spec: Spec) -> dict[str, int]:
    """Return the drawn groups of each population."""
    if spec.populations is None:
        return {}
    by = identifier(spec.populations.by)
    rows = connection.execute(
        f"select g.{by}, count(*) from groups g join fit f using (group_id, cut) group by all order by all"
    ).fetchall()
    return {str(name): int(count) for name, count in rows}


def _no_positive(run: Run, cuts: Sequence[date]) -> str:
    rules = "; ".join(f"grade {rule.grade} when {rule.condition}" for rule in run.spec.label.grades)
    return (
        f"{run.spec.name} {run.as_of}: none of the candidates of the cuts {cuts[0]} to {cuts[-1]} has a grade above "
        f"0, so there is nothing to learn. The rules are: {rules}. Look at `label` in the pipeline file and at the "
        "kinds and values in the table `interactions`."
    )
