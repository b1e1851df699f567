"""The SQL engines that a pipeline's tables can be built and read with."""

from __future__ import annotations

import os
from collections.abc import Callable

from tasks.errors import BuildError
from tasks.features.warehouse import Warehouse
from tasks.store.files import Home


def _duckdb() -> type[Warehouse]:
    from tasks.features.duckdb_warehouse import DuckDBWarehouse

    return DuckDBWarehouse


# A function each, not a dotted name in a string: the code digest follows imports, and must not lose an engine.
ENGINES: dict[str, Callable[[], type[Warehouse]]] = {
    "duckdb": _duckdb,
    # Add a new engine here: a class beside `duckdb_warehouse.py`, an output of its name in transforms/profiles.yml, and
    # its dialect's macros in transforms/macros/. All engines must build equal tables: none is part of a version's name.
}


def warehouse_of(home: Home, pipeline: str) -> Warehouse:
    """A pipeline's warehouse in the engine that `MATINEE_WAREHOUSE` names, DuckDB if it names none.

    Raises:
        BuildError: there is no such engine.
    """
    name = os.environ.get("MATINEE_WAREHOUSE", "duckdb")
    if name not in ENGINES:
        raise BuildError(f"MATINEE_WAREHOUSE: no SQL engine {name!r}; expected one of: {', '.join(sorted(ENGINES))}")
    return ENGINES[name]()(home, pipeline)
