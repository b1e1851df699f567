"""Fit the retrieval models of each cut, and write its candidates with every model's score.

Models and candidates of a cut are functions of the cut alone, so they are kept and reused by every run that needs
that cut. Item factors are fitted on a fixed calendar (`refit`, counted from the pipeline's start) on what was known
by then; users are folded in as of the cut. Candidates are made by the engine's own retrievers from the files that a
version would publish, so what is trained on is what is served.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import BuildError, TrainingError
from tasks.examples.retrieval_models import Past, confidence, fit_als, fit_ease, strength
from tasks.features.build import (
    dbt_vars,
    landing_digest,
    libraries,
    needed,
    require_built,
    transforms_digest,
)
from tasks.features.ledger import BuildRequest
from tasks.features.warehouse import reader
from tasks.runs.provenance import code_digest
from tasks.spec.spec import Spec
from tasks.spec.windows import LONGEST_FEATURE_WINDOW
from tasks.store.files import atomic_dir, digest, write_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from engine.retrieval import Items, Retriever
    from tasks.runs.run import Run

CANDIDATES = "candidates.parquet"


def cut_folders(run: Run, need: BuildRequest) -> dict[date, Path]:
    """Return the folder of every cut of the run and of its as-of day, named by all that it is made from."""
    canonical = run.spec.canonical()
    made_by = {
        "code": [code_digest(), transforms_digest(), libraries()],
        "spec": [canonical["retrieval"], canonical["examples"]["kind"], canonical["start"], dbt_vars(run.spec)],
    }
    folders = {}
    for day, value in need.features.items():
        shown = need.labels.get(day, "") if run.spec.examples.kind == "impressions" else ""
        name = digest([made_by, value, shown])[:16]
        folders[day] = run.home.retrieval(run.spec.name) / f"cut={day}" / name
    return folders


def made_folders(run: Run) -> dict[date, Path]:
    """Return the folders that this attempt's `retrieve` made or found: by cut, and of the as-of day.

    Raises:
        MatineeError: it has not run.
    """
    found = run.result("retrieve")["folders"]
    return {date.fromisoformat(day): run.home.root / folder for day, folder in found.items()}


def candidate_files(run: Run) -> dict[date, Path]:
    """Return the candidate file of every cut of the run, made from the landing as it is now.

    Raises:
        BuildError: something that they were made from has changed since.
    """
    cuts, made = set(run.windows.refit), made_folders(run)
    if made != cut_folders(run, needed(run)):
        raise BuildError(
            f"{run.spec.name} {run.as_of}: the landing, the pipeline file or the code has changed since the step "
            "`retrieve`; run the steps again from `build` on"
        )
    return {day: folder / CANDIDATES for day, folder in made.items() if day in cuts}


def retrieve_step(run: Run) -> dict[str, Any]:
    """Make what is missing of the run's cuts and of its as-of day.

    Raises:
        TrainingError: nothing is known yet to fit a model on.
        BuildError: the tables are not those of the landing, whose digests name the folders.
    """
    with reader(run.home, run.spec.name) as connection:  # while it is held, nobody builds and nobody else makes these
        need = needed(run)
        folders = cut_folders(run, need)
        missing = {day: folder for day, folder in folders.items() if not folder.exists()}
        require_built(run, connection)
        models = Models(connection, run.spec)
        for day, folder in missing.items():
            with atomic_dir(folder) as target:
                models.write(day, target)
                if run.spec.examples.kind == "snapshots" or day in need.labels:  # else nothing is to be learnt of it
                    _write_candidates(connection, run.spec, day, target)
    result = {
        "data": landing_digest(need.partitions),
        "cuts": len(folders),
        "made": len(missing),
        "folders": {day.isoformat(): str(folder.relative_to(run.home.root)) for day, folder in folders.items()},
    }
    with run.step("retrieve", result):
        return result


@dataclass
class Models:
    """Fits and writes the models of cuts; item models are fitted once per refit day."""

    connection: DuckDBPyConnection
    spec: Spec

    def __post_init__(self) -> None:
        self.fitted: dict[tuple[str, date], Any] = {}

    def write(self, cut: date, folder: Path) -> None:
        """Write the catalogue and one file for each retrieval of the spec."""
        import pyarrow.parquet as pq

        items = item_table(self.connection, cut)
        pq.write_table(items.select(["item_id", "title", "category", "available"]), folder / "catalogue.parquet")
        past = past_actions(self.connection, cut)
        writers = {"als": self._als, "popularity": _popularity, "history": _history, "item_item": self._item_item}
        for part in self.spec.retrieval:
            writers[part.type](folder / f"{part.type}.npz", part, cut, past, items)

    def _refit_day(self, cut: date, every: int) -> date:
        return cut - timedelta(days=(cut - self.spec.start).days % every)

    def _als(self, path: Path, part: Any, cut: date, past: Past, items: pa.Table) -> None:
        from threadpoolctl import threadpool_limits

        from engine.folding import fold_in_all
        from engine.npz import save_arrays

        day = self._refit_day(cut, part.refit)
        if ("als", day) not in self.fitted:
            known = past_actions(self.connection, day).matrix(part.half_life)
            self.fitted["als", day] = known.items, fit_als(known, part)
        ids, factors = self.fitted["als", day]
        now = past.matrix(part.half_life, ids)
        trust = confidence(now.counts, part.alpha)
        with threadpool_limits(1, "blas"):  # the sums' last bits depend on the number of threads
            users = fold_in_all(factors, part.regularization, trust.indptr.astype("i8"), trust.indices, trust.data)
        save_arrays(
            path,
            user_ids=now.users,
            item_ids=ids,
            user_factors=users,
            item_factors=factors,
            regularization=part.regularization,
            alpha=part.alpha,
        )

    def _item_item(self, path: Path, part: Any, cut: date, past: Past, items: pa.Table) -> None:
        import scipy.sparse as sp

        from engine.npz import save_arrays

        day = self._refit_day(cut, part.refit)
        if ("item_item", day) not in self.fitted:
            known = past_actions(self.connection, day).matrix(part.half_life)
            self.fitted["item_item", day] = known.items, sp.csr_matrix(fit_ease(known, part))
        ids, weights = self.fitted["item_item", day]
        now = past.matrix(part.half_life, ids)
        save_arrays(
            path,
            user_ids=now.users,
            item_ids=ids,
            offsets=now.counts.indptr.astype("i8"),
            items=now.counts.indices.astype("i4"),
            scores=strength(now.counts).data,
            starts=weights.indptr.astype("i8"),
            neighbours=weights.indices.astype("i4"),
            similarity=weights.data.astype("f4"),
        )


def _popularity(path: Path, part: Any, cut: date, past: Past, items: pa.Table) -> None:
    from engine.npz import save_arrays

    save_arrays(path, item_ids=_texts(items["item_id"]), scores=items[f"item_actions_{part.window}d"].to_numpy())


def _history(path: Path, part: Any, cut: date, past: Past, items: pa.Table) -> None:
    """Score a user's items by actions, ties by the item's distinct users (a fraction below one action)."""
    import numpy as np

    from engine.npz import save_arrays

    now = past.matrix(None, _texts(items["item_id"]))
    users = items["item_users_365d"].to_numpy().astype(np.float64)
    fraction = users / (users.max(initial=0.0) + 1.0)
    save_arrays(
        path,
        user_ids=now.users,
        item_ids=now.items,
        offsets=now.counts.indptr.astype("i8"),
        items=now.counts.indices.astype("i4"),
        scores=(now.counts.data + fraction[now.counts.indices]).astype("f4"),
    )


def _texts(column: Any) -> npt.NDArray[np.str_]:
    import numpy as np

    return np.asarray(column.to_pylist(), dtype=np.str_)


def item_table(connection: DuckDBPyConnection, cut: date) -> pa.Table:
    """Return the items known as of a cut, by id.

    Raises:
        TrainingError: there is none.
    """
    query = "select * exclude (as_of) from feat_items where as_of = ? order by item_id"
    table = connection.sql(query, params=[cut]).to_arrow_table()
    if not table.num_rows:
        raise TrainingError(f"no item is known as of {cut}: look at the table `items` and at the landed days up to it")
    return table


def past_actions(connection: DuckDBPyConnection, cut: date) -> Past:
    """Return the actions of the year up to a cut, as known by then."""
    rows = connection.sql(
        """
        select user_id, item_id, (?::date - day)::integer as age, sum(actions)::double as actions
        from int_user_item_daily
        where ds <= ? and day <= ? and day > ? and actions > 0
        group by user_id, item_id, day
        order by user_id, item_id, day
        """,
        params=[cut, cut, cut, cut - LONGEST_FEATURE_WINDOW],
    )
    return Past.of(rows.to_arrow_table())


def load_retrievers(spec: Spec, folder: Path) -> tuple[Items, list[tuple[Retriever, int]]]:
    """Load a cut's catalogue and models as the engine serves them."""
    import pyarrow.parquet as pq

    from engine.ids import Ids
    from engine.retrieval import Als, History, ItemItem, Items, Popularity

    catalogue = pq.read_table(folder / "catalogue.parquet")
    items = Items(Ids.of(_texts(catalogue["item_id"]), "catalogue"), catalogue["available"].to_numpy())
    kinds: dict[str, Any] = {"als": Als, "popularity": Popularity, "history": History, "item_item": ItemItem}
    return items, [(kinds[part.type].load(folder / f"{part.type}.npz", items), part.k) for part in spec.retrieval]


def _write_candidates(connection: DuckDBPyConnection, spec: Spec, cut: date, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from engine.candidates import ranks_of, scores_of

    items, retrievers = load_retrievers(spec, folder)
    if spec.examples.kind == "impressions":
        rows, users, pairs = _shown(connection, spec, cut, items)
    else:
        rows, users, pairs = _snapshot(connection, cut, items, retrievers)
    scores = scores_of(retrievers, users, pairs)
    columns = {name: pa.array(values, from_pandas=True) for name, values in scores.items()}
    if spec.examples.kind == "snapshots":
        for part in spec.retrieval:
            columns[f"{part.type}_rank"] = pa.array(ranks_of(pairs, scores[f"{part.type}_score"]))
    table = pa.table({**rows, **columns})
    pq.write_table(table, folder / CANDIDATES, compression="zstd")
    write_json(folder / "made.json", {"cut": cut, "rows": table.num_rows})


def _snapshot(
    connection: DuckDBPyConnection, cut: date, items: Items, retrievers: Iterable[tuple[Retriever, int]]
) -> tuple[dict[str, Any], npt.NDArray[np.str_], Any]:
    """Return rows, users and pairs: each active user's retrieved items."""
    import numpy as np
    import pyarrow as pa

    from engine.candidates import union

    found = connection.sql(
        "select user_id from feat_users where as_of = ? and user_actions_365d > 0 order by user_id", params=[cut]
    ).to_arrow_table()
    users = _texts(found["user_id"])
    pairs = union(list(retrievers), users)
    user, item = users[pairs.rows], items.ids.values[pairs.items]
    groups = np.char.add(user, f"@{cut}") if len(user) else user
    size = len(user)
    return (
        {
            "example_id": pa.array(np.char.add(np.char.add(groups, "/"), item) if size else groups),
            "group_id": pa.array(groups),
            "user_id": pa.array(user),
            "item_id": pa.array(item),
            "cut": pa.array([cut] * size, pa.date32()),
            "position": pa.nulls(size, pa.int32()),
            "propensity": pa.nulls(size, pa.float64()),
        },
        users,
        pairs,
    )


def _shown(
    connection: DuckDBPyConnection, spec: Spec, cut: date, items: Items
) -> tuple[dict[str, Any], npt.NDArray[np.str_], Any]:
    """Return rows, users and pairs: what was shown on the day after the cut, as known when its labels are complete."""
    import numpy as np

    from engine.arrays import offsets_of
    from engine.candidates import Candidates

    table = connection.sql(
        """
        select impression_id as example_id, request_id as group_id, user_id, item_id, ?::date as cut,
               position::integer as position, propensity
        from impressions
        where shown_at >= ?::date and shown_at < ?::date and ds <= ?
        order by user_id, request_id, item_id, impression_id
        """,
        params=[cut, cut + timedelta(days=1), cut + timedelta(days=2), cut + spec.lag],
    ).to_arrow_table()
    names, counts = np.unique(_texts(table["user_id"]), return_counts=True)
    numbers = items.ids.numbers(_texts(table["item_id"]))
    keep = numbers >= 0
    owners = np.repeat(np.arange(len(names)), counts)[keep]
    lengths = np.bincount(owners, minlength=len(names))
    rows = table.filter(keep)
    return {name: rows[name] for name in rows.column_names}, names, Candidates(offsets_of(lengths), numbers[keep])
